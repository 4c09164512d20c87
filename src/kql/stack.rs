//! Room for recursion: a query nests, and the caller's stack may be small.

use std::panic;
use std::thread;

use super::QueryError;

/// Several times what the deepest query that is taken needs.
const SIZE: usize = 32 << 20;

/// Runs `work` to its end on a stack of [`SIZE`] bytes.
///
/// # Errors
/// [`QueryError::Limit`] if the system has no such stack to give.
pub fn with_room<T: Send>(
    work: impl FnOnce() -> Result<T, QueryError> + Send,
) -> Result<T, QueryError> {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("kql".into())
            .stack_size(SIZE)
            .spawn_scoped(scope, work)
            .map_err(|error| {
                QueryError::Limit(format!("there is no thread to run the query on: {error}"))
            })?;
        worker
            .join()
            .unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}
