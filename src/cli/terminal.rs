//! How a command speaks to a person or to a script.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};

use clap::ValueEnum;
use comfy_table::{Cell, ContentArrangement, Table, presets};
use miette::IntoDiagnostic as _;
use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables and text, for people
    Table,
    /// JSON, for scripts
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

impl From<Color> for clap::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// Where a command prints: stdout for results, stderr for what went wrong.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    output: Output,
    color: Color,
}

impl Terminal {
    /// A terminal as `--output` and `--color` ask for.
    #[must_use]
    pub fn new(output: Output, color: Color) -> Self {
        Self { output, color }
    }

    /// What `--output` says.
    #[must_use]
    pub fn output(self) -> Output {
        self.output
    }

    /// Whether stdout takes colours.
    #[must_use]
    pub fn colors(self) -> bool {
        self.takes_colors(&io::stdout())
    }

    fn takes_colors(self, stream: &impl anstream::stream::RawStream) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
        }
    }

    /// An empty table in the style of the house.
    #[must_use]
    pub fn table<T: Into<Cell>>(self, header: impl IntoIterator<Item = T>) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(header.into_iter().map(Into::into).collect::<Vec<Cell>>());
        if self.colors() {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// Prints a line or more on stdout; ANSI styles in it are removed where colours aren't wanted.
    ///
    /// # Errors
    /// Stdout can't be written to.
    pub fn print(self, text: impl Display) -> miette::Result<()> {
        let mut stdout = anstream::AutoStream::new(io::stdout().lock(), self.choice());
        // A reader that has seen enough (`| head`) is no failure.
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.into_diagnostic(),
        }
    }

    /// Prints a value as JSON on stdout.
    ///
    /// # Errors
    /// The value can't be put into JSON, or stdout can't be written to.
    pub fn json(self, value: &impl Serialize) -> miette::Result<()> {
        self.print(serde_json::to_string_pretty(value).into_diagnostic()?)
    }

    /// Shows on stderr why a command could not tell.
    pub(super) fn failure(self, report: &miette::Report) {
        // There is nowhere left to tell that stderr is closed.
        let _ = writeln!(io::stderr(), "{}", self.rendered(report));
    }

    /// Shows all problems but the last, which is to be the command's error.
    pub(super) fn last<T: Into<miette::Report>>(self, problems: Vec<T>) -> miette::Report {
        let mut reports: Vec<miette::Report> = problems.into_iter().map(Into::into).collect();
        let last = reports.pop();
        for report in &reports {
            self.failure(report);
        }
        last.unwrap_or_else(|| miette::miette!("it can't be read"))
    }

    /// A failure as it is shown.
    pub(super) fn rendered(self, report: &miette::Report) -> String {
        let mut text = String::new();
        let diagnostic: &dyn miette::Diagnostic = report.as_ref();
        let rendered = match self.output {
            Output::Json => miette::JSONReportHandler::new().render_report(&mut text, diagnostic),
            Output::Table => self.graphical().render_report(&mut text, diagnostic),
        };
        if rendered.is_err() {
            text = format!("{report}");
        }
        text.trim_end().to_owned()
    }

    fn graphical(self) -> miette::GraphicalReportHandler {
        let theme = if self.takes_colors(&io::stderr()) {
            miette::GraphicalTheme::unicode()
        } else {
            miette::GraphicalTheme::unicode_nocolor()
        };
        miette::GraphicalReportHandler::new_themed(theme).with_links(false)
    }

    fn choice(self) -> anstream::ColorChoice {
        self.color.into()
    }
}

/// What `--color` says before clap has read the arguments: its own help and errors are coloured, too.
pub(super) fn asked_color(argv: &[OsString]) -> Color {
    let mut words = argv.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--color") {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('='),
            None if word == "--" => break,
            None => None,
        };
        if let Some(color) = value.and_then(|value| Color::from_str(value, false).ok()) {
            return color;
        }
    }
    Color::Auto
}
