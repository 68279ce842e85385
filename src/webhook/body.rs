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

/// How long a body may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// At most.
    pub most: usize,
    /// Up to here it needs no permits.
    pub free: usize,
}

impl Bounds {
    /// All bytes need permits.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, free: 0 }
    }
}

/// Reads a body to its end. It takes permits for the bytes that arrive, whatever length the client
/// announces.
pub(crate) async fn read(
    body: Body,
    bounds: Bounds,
    memory: &Semaphore,
) -> Result<RequestBody<'_>, BodyError> {
    let Bounds { most, free } = bounds;
    let mut chunks = body.into_data_stream();
    let (mut pieces, mut permits) = (Pieces::default(), None);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if pieces.len() + chunk.len() > most {
            return Err(BodyError::TooLarge { most });
        }
        let (before, after) = (pieces.len(), pieces.len() + chunk.len());
        take(after.saturating_sub(before.max(free)), memory, &mut permits)?;
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
        let one = read(body(&[30, 30]), Bounds::of(80), &memory).await.unwrap();
        assert_eq!((one.bytes.len(), memory.available_permits()), (60, 40));
        let refused = read(body(&[30, 30]), Bounds::of(80), &memory).await.err();
        assert!(matches!(refused, Some(BodyError::NoMemory)));
        let other = read(body(&[40]), Bounds::of(80), &memory).await.unwrap();
        drop((one, other));
        let refused = read(body(&[50, 31]), Bounds::of(80), &memory).await.err();
        assert!(matches!(refused, Some(BodyError::TooLarge { most: 80 })));
        assert_eq!(memory.available_permits(), 100);
    }

    #[tokio::test]
    async fn a_small_body_needs_no_memory_and_of_a_larger_one_what_is_beyond() {
        let (memory, bounds) = (Semaphore::new(10), Bounds { most: 80, free: 40 });
        let small = read(body(&[30, 10]), bounds, &memory).await.unwrap();
        assert_eq!((small.bytes.len(), memory.available_permits()), (40, 10));
        for chunks in [&[50][..], &[30, 20], &[40, 10], &[30, 5, 15]] {
            let larger = read(body(chunks), bounds, &memory).await.unwrap();
            assert_eq!((larger.bytes.len(), memory.available_permits()), (50, 0), "{chunks:?}");
            let refused = read(body(&[30, 11]), bounds, &memory).await.err();
            assert!(matches!(refused, Some(BodyError::NoMemory)));
            assert!(read(body(&[30]), bounds, &memory).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_body_is_read_in_the_order_of_its_pieces() {
        for pieces in [vec![], vec!["ab"], vec!["", "ab", "", "c"], vec!["a", "b", "cd"]] {
            let chunks = pieces.clone().into_iter().map(Ok::<_, std::io::Error>);
            let memory = Semaphore::new(100);
            let body = Body::from_stream(stream::iter(chunks));
            let read = read(body, Bounds::of(80), &memory).await.unwrap();
            assert_eq!(read.bytes, pieces.concat());
            assert_eq!(memory.available_permits(), 100 - read.bytes.len());
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let chunks = [Ok(vec![0; 9]), Err(std::io::Error::other("gone"))];
        let memory = Semaphore::new(100);
        let broken = read(Body::from_stream(stream::iter(chunks)), Bounds::of(80), &memory).await;
        let error = broken.err().unwrap();
        assert!(matches!(error, BodyError::Broken(_)));
        assert_eq!(error.to_string(), "gone");
        assert_eq!(memory.available_permits(), 100);
    }
}
