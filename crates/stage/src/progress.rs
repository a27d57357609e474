//! The progress of a stage, shown as a bar on a terminal and as occasional log lines elsewhere.
//!
//! The times measured here are only shown. None of them goes into a dataset.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{FormattedDuration, ProgressBar, ProgressState, ProgressStyle};

use crate::{plain, terminal};

/// Time between two log lines when there is no terminal. At this rate the log of a whole day is still readable.
const INTERVAL: Duration = Duration::from_secs(30);

/// The target of the line at the end, so that `RUST_LOG=info,ending=off` leaves it out where make says how long a stage took.
const ENDING: &str = "ending";

/// Counts finished units of work, from any thread. Dropping it logs the total, the time and the rate.
#[derive(Debug)]
pub struct Progress {
    count: Arc<Count>,
    shown: Shown,
}

/// How progress is shown.
#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { _beat: Beat },
}

impl Progress {
    /// Starts counting to `total` units; 0 means that the total is unknown.
    pub fn new(label: impl Into<String>, total: u64) -> Self {
        let count = Arc::new(Count::new(&label.into(), total, INTERVAL));
        let shown = if terminal::is_watched() {
            Shown::Bar(bar(&count.label, total))
        } else {
            Shown::Lines { _beat: Beat::start(Arc::clone(&count)) }
        };
        Self { count, shown }
    }

    /// Counts `n` more units as done.
    pub fn add(&self, n: u64) {
        self.count.done.fetch_add(n, Ordering::Relaxed);
        match &self.shown {
            Shown::Bar(bar) => bar.inc(n),
            Shown::Lines { .. } => self.count.log_if_due(),
        }
    }

    /// Counts `n` units that an earlier run did. They do not count towards the rate, which is that of this run alone.
    pub fn skip(&self, n: u64) {
        self.count.skipped.fetch_add(n, Ordering::Relaxed);
        self.count.done.fetch_add(n, Ordering::Relaxed);
        if let Shown::Bar(bar) = &self.shown {
            bar.inc(n);
            // The bar would otherwise take the rate from units that took no time.
            bar.reset_eta();
        }
    }

    /// Sets a short text to show beside the count, such as the loss.
    pub fn message(&self, text: impl Into<String>) {
        let text: String = text.into();
        let text = plain::one_line(&text).into_owned();
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(text),
            Shown::Lines { .. } => self.count.log().message = text,
        }
    }

    /// Returns the units done so far.
    pub fn done(&self) -> u64 {
        self.count.done()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
            terminal::bars().remove(bar);
        }
        tracing::info!(target: ENDING, "{}", self.count.ending(self.count.start.elapsed()));
    }
}

/// The units that are done, and the log lines that say so.
#[derive(Debug)]
struct Count {
    label: String,
    total: u64,
    done: AtomicU64,
    /// The number of these that an earlier run did.
    skipped: AtomicU64,
    start: Instant,
    interval: Duration,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    message: String,
    /// The time of the last log line, measured from the start.
    last: Duration,
}

impl Count {
    fn new(label: &str, total: u64, interval: Duration) -> Self {
        Self {
            label: plain::one_line(label).into_owned(),
            total,
            done: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            start: Instant::now(),
            interval,
            log: Mutex::default(),
        }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_if_due(&self) {
        if let Some(message) = self.due() {
            tracing::info!("{}", self.line(self.done(), self.start.elapsed(), &message));
        }
    }

    /// Returns the message of the next log line if one is due. Only one of several threads gets it.
    fn due(&self) -> Option<String> {
        let mut log = self.log();
        let now = self.start.elapsed();
        if now.saturating_sub(log.last) < self.interval {
            return None;
        }
        log.last = now;
        Some(log.message.clone())
    }

    /// Formats a log line: `label: 5/20 (25 %), 2.5/s, 00:00:06 left, message`.
    fn line(&self, done: u64, elapsed: Duration, message: &str) -> String {
        let (label, total, rate) = (&self.label, self.total, self.rate(done, elapsed));
        let mut parts = vec![format!("{label}: {done}"), per_time(rate)];
        if total > 0 {
            let percent = 100.0 * done as f64 / total as f64;
            parts[0] = format!("{label}: {done}/{total} ({percent:.0} %)");
            // An error while nothing is done, because the rate is 0 then; the time left is not shown.
            let left = Duration::try_from_secs_f64(total.saturating_sub(done) as f64 / rate);
            parts.extend(left.map(|left| format!("{} left", FormattedDuration(left))));
        }
        if !message.is_empty() {
            parts.push(message.to_owned());
        }
        parts.join(", ")
    }

    /// Formats the last log line: `label: 20 of 20 in 00:00:08, 2.5/s`.
    fn ending(&self, elapsed: Duration) -> String {
        let done = self.done();
        let of = if self.total > 0 { format!(" of {}", self.total) } else { String::new() };
        let (time, rate) = (FormattedDuration(elapsed), per_time(self.rate(done, elapsed)));
        format!("{}: {done}{of} in {time}, {rate}", self.label)
    }

    /// Returns the units that this run did per second; 0 if no time has passed.
    fn rate(&self, done: u64, elapsed: Duration) -> f64 {
        let own = done.saturating_sub(self.skipped.load(Ordering::Relaxed));
        if elapsed.is_zero() { 0.0 } else { own as f64 / elapsed.as_secs_f64() }
    }
}

/// A rate per second, or per minute if it is below one.
fn per_time(rate: f64) -> String {
    if rate > 0.0 && rate < 1.0 {
        format!("{:.1}/min", 60.0 * rate)
    } else {
        format!("{rate:.1}/s")
    }
}

/// A thread that logs while nothing is counted: a part with a large model may take many minutes.
#[derive(Debug)]
struct Beat {
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Beat {
    fn start(count: Arc<Count>) -> Self {
        let (end, ended) = mpsc::channel();
        let log = tracing::dispatcher::get_default(Clone::clone);
        let beat = move || {
            let waits = || ended.recv_timeout(count.interval) == Err(RecvTimeoutError::Timeout);
            tracing::dispatcher::with_default(&log, || {
                while waits() {
                    count.log_if_due();
                }
            });
        };
        // Without the thread there are lines only when something is counted.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(beat).ok();
        Self { end: Some(end), thread }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn bar(label: &str, total: u64) -> ProgressBar {
    let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::new_spinner() };
    let bar = terminal::bars().add(bar);
    bar.set_style(style(total));
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn style(total: u64) -> ProgressStyle {
    let template = if total > 0 {
        "{prefix} {bar:24} {human_pos}/{human_len} {rate}, {eta} left {wide_msg}"
    } else {
        "{prefix} {spinner} {human_pos} {rate} {wide_msg}"
    };
    let style = ProgressStyle::with_template(template);
    let style = style.expect("both templates are constants under test");
    // indicatif's own rate has four decimals.
    style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
        // A bar that cannot be drawn is none of the stage's business.
        to.write_str(&per_time(state.per_sec())).ok();
    })
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    /// Makes a progress without a terminal, with this time between log lines.
    fn unwatched(total: u64, interval: Duration) -> Progress {
        let count = Arc::new(Count::new("search", total, interval));
        Progress { shown: Shown::Lines { _beat: Beat::start(Arc::clone(&count)) }, count }
    }

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(work: impl FnOnce()) -> Vec<String> {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, work);
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn unwatched_progress_is_log_lines_and_an_ending() {
        let lines = logged(|| {
            let count = Arc::new(Count::new("search", 4, Duration::ZERO));
            count.log().message = "loss 0.5".to_owned();
            for n in [1, 3] {
                count.done.fetch_add(n, Ordering::Relaxed);
                count.log_if_due();
            }
            tracing::info!("{}", count.ending(Duration::from_secs(1)));
        });
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains("search: 1/4 (25 %)") && lines[0].ends_with("loss 0.5"));
        assert!(lines[1].contains("search: 4/4 (100 %)"));
        assert!(lines[2].contains("search: 4 of 4 in 00:00:0"));
    }

    #[test]
    fn between_two_lines_it_is_silent() {
        let lines = logged(|| {
            let progress = unwatched(1000, INTERVAL);
            (0..1000).for_each(|_| progress.add(1));
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn there_are_lines_though_nothing_is_counted() {
        let lines = logged(|| {
            let progress = unwatched(4, Duration::from_millis(10));
            progress.message("greedy 3/100");
            std::thread::sleep(Duration::from_millis(200));
        });
        assert!(lines.len() >= 3, "{lines:?}");
        assert!(lines[1].contains("search: 0/4 (0 %), 0.0/s, greedy 3/100"), "{lines:?}");
    }

    #[test]
    fn threads_count_together() {
        let progress = unwatched(0, INTERVAL);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..250).for_each(|_| progress.add(2)));
            }
        });
        assert_eq!(progress.done(), 2000);
    }

    #[test]
    fn rate_and_time_left() {
        let progress = unwatched(20, INTERVAL);
        let line = progress.count.line(5, Duration::from_secs(2), "");
        assert_eq!(line, "search: 5/20 (25 %), 2.5/s, 00:00:06 left");
        assert_eq!(progress.count.line(0, Duration::ZERO, ""), "search: 0/20 (0 %), 0.0/s");
        progress.skip(10);
        let line = progress.count.line(15, Duration::from_secs(2), "");
        assert_eq!(line, "search: 15/20 (75 %), 2.5/s, 00:00:02 left");
        let endless = unwatched(0, INTERVAL);
        assert_eq!(endless.count.line(5, Duration::from_secs(2), "x"), "search: 5, 2.5/s, x");
        let slow = endless.count.line(5, Duration::from_secs(100), "");
        assert_eq!(slow, "search: 5, 3.0/min");
    }

    #[test]
    fn both_templates_are_well_formed() {
        for total in [0, 3] {
            let drawn = ProgressBar::hidden().with_style(style(total));
            drawn.inc(1);
            assert_eq!(drawn.position(), 1);
        }
    }
}
