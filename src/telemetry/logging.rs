//! The program's own log: JSON or text, a line for each event, on standard error.
//!
//! Every line passes through a writer that escapes what could forge or reorder it, whatever text an event brought.

use std::fmt::{self, Debug};
use std::io::{self, Write};

use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::settings::{LogFormat, LogSettings};
use crate::exchange::printable;

/// Libraries that log headers, and so tokens, below `info`. They stay at `info` unless the filter names them.
const TALKATIVE: [&str; 7] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower"];

/// Why logging can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter isn't one.
    #[error("`{filter}` is not a log filter: {reason}")]
    Filter {
        /// The filter.
        filter: String,
        /// Why.
        reason: String,
    },
    /// Logging was set up before.
    #[error("logging is set up already")]
    Twice,
}

/// Sets up the process's log on standard error. `rust_log` is `RUST_LOG`, which comes before the settings' filter;
/// `terminal` says whether standard error is one.
///
/// # Errors
/// [`LogError`] if the filter can't be read or logging is set up already.
pub fn init(settings: &LogSettings, rust_log: Option<&str>, terminal: bool) -> Result<(), LogError> {
    let filter = rust_log
        .filter(|text| !text.trim().is_empty())
        .unwrap_or(&settings.filter);
    subscriber(settings.format, filter, terminal, io::stderr)?
        .try_init()
        .map_err(|_| LogError::Twice)
}

/// The subscriber that writes to `writer`, for [`init`] and for tests.
///
/// # Errors
/// [`LogError::Filter`] if the filter can't be read.
pub fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let colours = terminal && format == LogFormat::Text;
    let registry = tracing_subscriber::registry().with(env_filter(filter)?);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .with_writer(Clean { writer, colours });
    Ok(match format {
        LogFormat::Json => Box::new(
            registry.with(
                layer
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false),
            ),
        ),
        LogFormat::Text => Box::new(registry.with(layer.fmt_fields(debug_fn(write_field).delimited(" ")))),
    })
}

fn env_filter(text: &str) -> Result<EnvFilter, LogError> {
    let wrong = |reason: String| LogError::Filter {
        filter: text.to_owned(),
        reason,
    };
    let mut filter = EnvFilter::builder()
        .parse(text)
        .map_err(|error| wrong(error.to_string()))?;
    for library in TALKATIVE {
        let named = text.split(',').any(|part| part.trim().starts_with(library));
        if !named {
            let quiet: Directive = format!("{library}=info")
                .parse()
                .map_err(|_| wrong(library.to_owned()))?;
            filter = filter.add_directive(quiet);
        }
    }
    Ok(filter)
}

/// Writes a field in text: the library's own way lets the escapes of a `%` value through.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let value = format!("{value:?}");
    let value = printable::escape(&value);
    match field.name() {
        "message" => writer.write_str(&value),
        name => write!(writer, "{name}={value}"),
    }
}

/// Makes writers that escape.
struct Clean<W> {
    writer: W,
    colours: bool,
}

/// Gets each event as one whole line.
struct CleanLine<W> {
    writer: W,
    colours: bool,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Clean<W> {
    type Writer = CleanLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        CleanLine {
            writer: self.writer.make_writer(),
            colours: self.colours,
        }
    }
}

impl<W: Write> Write for CleanLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.writer.write_all(clean(&text, self.colours).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A line without anything that disturbs it but its end, and our own colours where there are some (those of a value
/// are escaped by [`write_field`] before they get here).
fn clean(line: &str, colours: bool) -> String {
    let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
    let mut out = String::with_capacity(line.len());
    for c in body.chars() {
        if printable::disturbs(c) && !(colours && c == '\u{1b}') {
            printable::push_escape(&mut out, c);
        } else {
            out.push(c);
        }
    }
    out.push_str(end);
    out
}

#[cfg(test)]
mod tests;
