//! The body of a request, within bounds that hold for it and for all bodies together.

use axum::body::{Body, Bytes};
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A body, with the permits for its memory.
pub(crate) struct RequestBody<'a> {
    pub bytes: Bytes,
    _permits: Option<SemaphorePermit<'a>>,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("a review has at most {most} bytes")]
    TooLarge { most: usize },
    #[error("the bodies of other requests take all memory")]
    NoMemory,
    /// The connection ended before the body did.
    #[error(transparent)]
    Broken(#[from] axum::Error),
}

/// Reads a body to its end. It takes permits for the bytes that arrive, whatever length the client
/// announces.
pub(crate) async fn read(
    body: Body,
    most: usize,
    memory: &Semaphore,
) -> Result<RequestBody<'_>, BodyError> {
    let mut chunks = body.into_data_stream();
    let (mut pieces, mut permits) = (Pieces::default(), None);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if pieces.len() + chunk.len() > most {
            return Err(BodyError::TooLarge { most });
        }
        take(chunk.len(), memory, &mut permits)?;
        pieces.add(chunk);
    }
    Ok(RequestBody { bytes: pieces.joined(), _permits: permits })
}

/// What has been read of a body. One in a single piece is not copied; of many small ones nothing but
/// their bytes remains.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    all: Vec<u8>,
}

impl Pieces {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn add(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&chunk);
    }

    fn joined(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

fn take<'a>(
    bytes: usize,
    memory: &'a Semaphore,
    permits: &mut Option<SemaphorePermit<'a>>,
) -> Result<(), BodyError> {
    let bytes = u32::try_from(bytes).map_err(|_| BodyError::NoMemory)?;
    let more = memory.try_acquire_many(bytes).map_err(|_| BodyError::NoMemory)?;
    match permits {
        Some(permits) => permits.merge(more),
        None => *permits = Some(more),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn body(chunks: &[usize]) -> Body {
        let chunks: Vec<_> = chunks.iter().map(|n| Ok::<_, std::io::Error>(vec![0; *n])).collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn bodies_share_the_memory_and_return_it() {
        let memory = Semaphore::new(100);
        let one = read(body(&[30, 30]), 80, &memory).await.unwrap();
        assert_eq!((one.bytes.len(), memory.available_permits()), (60, 40));
        let refused = read(body(&[30, 30]), 80, &memory).await.err();
        assert!(matches!(refused, Some(BodyError::NoMemory)));
        let other = read(body(&[40]), 80, &memory).await.unwrap();
        drop((one, other));
        let refused = read(body(&[50, 31]), 80, &memory).await.err();
        assert!(matches!(refused, Some(BodyError::TooLarge { most: 80 })));
        assert_eq!(memory.available_permits(), 100);
    }

    #[tokio::test]
    async fn a_body_is_read_in_the_order_of_its_pieces() {
        for pieces in [vec![], vec!["ab"], vec!["", "ab", "", "c"], vec!["a", "b", "cd"]] {
            let chunks = pieces.clone().into_iter().map(Ok::<_, std::io::Error>);
            let memory = Semaphore::new(100);
            let body = Body::from_stream(stream::iter(chunks));
            let read = read(body, 80, &memory).await.unwrap();
            assert_eq!(read.bytes, pieces.concat());
            assert_eq!(memory.available_permits(), 100 - read.bytes.len());
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let chunks = [Ok(vec![0; 9]), Err(std::io::Error::other("gone"))];
        let memory = Semaphore::new(100);
        let broken = read(Body::from_stream(stream::iter(chunks)), 80, &memory).await;
        let error = broken.err().unwrap();
        assert!(matches!(error, BodyError::Broken(_)));
        assert_eq!(error.to_string(), "gone");
        assert_eq!(memory.available_permits(), 100);
    }
}
