//! The one form of all messages: what they are made of, as text and as HTML.

use std::fmt::Write as _;

/// A message before it is written out.
pub(super) struct Body {
    /// The subject, which is the heading too.
    pub(super) subject: String,
    /// What stands below it.
    pub(super) blocks: Vec<Block>,
}

/// One piece.
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// A code to type.
    Code(String),
    /// A link that does what its label says.
    Link {
        /// What following it does.
        label: &'static str,
        /// Where it leads.
        url: String,
    },
    /// Facts, each with its name.
    Facts(Vec<(&'static str, String)>),
}

/// The text form.
pub(super) fn render_text(body: &Body, foot: &str) -> String {
    let mut out = format!("{}\n", body.subject);
    for block in &body.blocks {
        out.push('\n');
        // Writing to a String cannot fail.
        let _ = match block {
            Block::Text(text) => writeln!(out, "{text}"),
            Block::Code(code) => writeln!(out, "    {code}"),
            Block::Link { label, url } => writeln!(out, "{label}:\n{url}"),
            Block::Facts(facts) => {
                facts.iter().try_for_each(|(name, value)| writeln!(out, "    {name}: {value}"))
            }
        };
    }
    let _ = writeln!(out, "\n-- \n{foot}");
    out
}

/// How messages look. WHY one style sheet and no attributes: programs that do not read it show plain paragraphs.
const STYLE: &str = "\
body{margin:0;padding:24px;background:#f6f6f3;color:#16191d;font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
main{max-width:34rem;margin:0 auto;padding:24px;background:#fff;border:1px solid #dcddd7;border-radius:8px}\
h1{font-size:20px;line-height:1.3;margin:8px 0 16px}\
.name{margin:0;font-weight:600;color:#24405f}\
.code{font:600 28px/1.2 ui-monospace,Menlo,Consolas,monospace;letter-spacing:.12em}\
.button{display:inline-block;padding:10px 18px;border-radius:8px;background:#24405f;color:#fff;text-decoration:none}\
.url,footer{font-size:13px;color:#59616b;word-break:break-all}\
dt{color:#59616b;font-size:14px}dd{margin:0 0 8px}\
footer{max-width:34rem;margin:16px auto 0}\
@media(prefers-color-scheme:dark){body{background:#101317;color:#e9ebee}main{background:#171b20;border-color:#2b323a}\
.name{color:#8db4e2}.button{background:#8db4e2;color:#0d1621}.url,footer,dt{color:#9aa3ae}}";

/// The HTML form: no script, no picture, nothing that is loaded.
pub(super) fn render_html(body: &Body, (name, language): (&str, &str), foot: &str) -> String {
    let subject = escape(&body.subject);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{subject}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<p class=\"name\">{}</p>\n<h1>{subject}</h1>\n",
        escape(name)
    );
    for block in &body.blocks {
        let _ = match block {
            Block::Text(text) => writeln!(out, "<p>{}</p>", escape(text)),
            Block::Code(code) => writeln!(out, "<p class=\"code\">{}</p>", escape(code)),
            Block::Link { label, url } => link(&mut out, label, url),
            Block::Facts(facts) => {
                let _ = writeln!(out, "<dl>");
                let each = facts.iter().try_for_each(|(name, value)| {
                    writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value))
                });
                each.and_then(|()| writeln!(out, "</dl>"))
            }
        };
    }
    let _ = writeln!(out, "</main>\n<footer>{}</footer>\n</body>\n</html>", escape(foot));
    out
}

/// A link as a button, and its address below for who would rather copy it. What is no web address is text only.
fn link(out: &mut String, label: &str, url: &str) -> std::fmt::Result {
    let (label, shown) = (escape(label), escape(url));
    if url.starts_with("https://") || url.starts_with("http://") {
        writeln!(out, "<p><a class=\"button\" href=\"{shown}\">{label}</a></p>")?;
    }
    writeln!(out, "<p class=\"url\">{shown}</p>")
}

/// Text as HTML, inside an element or a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}
