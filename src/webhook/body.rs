//! The body of a request, within bounds that hold for it and for all bodies together.

use axum::body::Body;
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A body, with the permits for its memory.
pub(crate) struct RequestBody<'a> {
    pub bytes: Vec<u8>,
    permits: Option<SemaphorePermit<'a>>,
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
    let mut read = RequestBody { bytes: vec![], permits: None };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if read.bytes.len() + chunk.len() > most {
            return Err(BodyError::TooLarge { most });
        }
        read.take(&chunk, memory)?;
    }
    Ok(read)
}

impl<'a> RequestBody<'a> {
    fn take(&mut self, chunk: &[u8], memory: &'a Semaphore) -> Result<(), BodyError> {
        let size = u32::try_from(chunk.len()).map_err(|_| BodyError::NoMemory)?;
        let more = memory.try_acquire_many(size).map_err(|_| BodyError::NoMemory)?;
        match &mut self.permits {
            Some(permits) => permits.merge(more),
            None => self.permits = Some(more),
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
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
