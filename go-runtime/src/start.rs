//! Starting the runtime with settings. It stands apart from [`Config`], which the scheduler reads.

use crate::config::{Config, StartError};
use crate::sched::global;

impl Config {
    /// Starts the runtime with these settings.
    ///
    /// Without this call the runtime starts by itself, at its first use.
    ///
    /// # Errors
    /// If an earlier call started the runtime: its settings cannot be changed any more, and the
    /// error says [where](StartError::started_at) it was started. If a setting, or a variable that
    /// is read, is out of range; the runtime can then still be started. If the threads cannot be
    /// made; the runtime can then not be started any more.
    ///
    /// ```
    /// use go_runtime::{Config, spawn};
    ///
    /// let error = Config::new().workers(0).start().unwrap_err();
    /// assert!(error.to_string().contains("from 1 to 1024"));
    ///
    /// spawn(|| ()); // starts the runtime
    /// let error = Config::new().workers(2).start().unwrap_err();
    /// assert_eq!(error.started_at().unwrap().file(), file!());
    /// ```
    #[track_caller]
    pub fn start(self) -> Result<(), StartError> {
        global::start_with(&self)
    }
}
