//! The body of a request, within bounds that hold for it and for all bodies together.

use axum::body::Body;
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A body, and its share of the memory that there is for bodies.
pub(crate) struct RequestBody<'a> {
    pub bytes: Vec<u8>,
    share: Option<SemaphorePermit<'a>>,
}

/// Why a body was not read.
#[derive(Debug, PartialEq)]
pub(crate) enum BodyError {
    TooLarge,
    /// The bodies of other requests take it all.
    NoMemory,
    Broken(String),
}

/// Reads a body to its end. Its share grows with the bytes that have come, whatever length the client
/// announced.
pub(crate) async fn read(
    body: Body,
    most: usize,
    memory: &Semaphore,
) -> Result<RequestBody<'_>, BodyError> {
    let mut chunks = body.into_data_stream();
    let mut read = RequestBody { bytes: vec![], share: None };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| BodyError::Broken(error.to_string()))?;
        if read.bytes.len() + chunk.len() > most {
            return Err(BodyError::TooLarge);
        }
        read.take(&chunk, memory)?;
    }
    Ok(read)
}

impl<'a> RequestBody<'a> {
    fn take(&mut self, chunk: &[u8], memory: &'a Semaphore) -> Result<(), BodyError> {
        let size = u32::try_from(chunk.len()).map_err(|_| BodyError::TooLarge)?;
        let more = memory.try_acquire_many(size).map_err(|_| BodyError::NoMemory)?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
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
    async fn bodies_share_the_memory_and_give_it_back() {
        let memory = Semaphore::new(100);
        let one = read(body(&[30, 30]), 80, &memory).await.unwrap();
        assert_eq!((one.bytes.len(), memory.available_permits()), (60, 40));
        assert_eq!(read(body(&[30, 30]), 80, &memory).await.err(), Some(BodyError::NoMemory));
        let other = read(body(&[40]), 80, &memory).await.unwrap();
        drop((one, other));
        assert_eq!(read(body(&[50, 31]), 80, &memory).await.err(), Some(BodyError::TooLarge));
        assert_eq!(memory.available_permits(), 100);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_said_to() {
        let chunks = [Ok(vec![0; 9]), Err(std::io::Error::other("gone"))];
        let memory = Semaphore::new(100);
        let broken = read(Body::from_stream(stream::iter(chunks)), 80, &memory).await;
        assert_eq!(broken.err(), Some(BodyError::Broken("gone".into())));
        assert_eq!(memory.available_permits(), 100);
    }
}
