//! A browser that can do next to nothing: it follows redirects, keeps cookies and reads forms. It runs no scripts.
//!
//! Never does: leave the one server that it was made for. Where it is sent elsewhere it stops and says so.

use crate::client::{Response, request};
use std::collections::BTreeMap;

/// Redirects and forms in a row before a server is said to lead in circles.
const STEPS: usize = 16;

/// A form of a page, with what its fields hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent, as the page spells it.
    pub action: String,
    /// `get` or `post`.
    pub method: String,
    /// Its inputs, in the order of the page. Buttons are not among them.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The form with another value in a field, which is added where the page has none.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Where the browser stands after it has followed all redirects.
#[derive(Debug, Clone)]
pub enum Landing {
    /// It was sent to this address of somebody else.
    Elsewhere(String),
    /// A page of the server.
    Page(Page),
}

/// A page of the server.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its address.
    pub url: String,
    /// The answer.
    pub response: Response,
}

impl Page {
    /// Its heading, without the elements in it.
    pub fn title(&self) -> String {
        let text = self.response.text();
        let heading = between(&text, "<h1>", "</h1>").unwrap_or_default();
        let pieces = heading.split('<').enumerate();
        let plain: String = pieces
            .map(|(at, it)| if at == 0 { it } else { it.split_once('>').map_or("", |(_, it)| it) })
            .collect();
        unescape(&plain)
    }

    /// Its first form.
    pub fn form(&self) -> Option<Form> {
        form(&self.response.text())
    }
}

/// A browser with the cookies of one server.
#[derive(Debug, Clone)]
pub struct Browser {
    origin: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser that knows this origin (`http://HOST:PORT`) only.
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), cookies: BTreeMap::new() }
    }

    /// The cookies that it keeps.
    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    /// Forgets every cookie, as another browser would never have had them.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    /// Opens an address, and follows where it leads.
    ///
    /// # Panics
    /// When the server leads in circles, or does not answer.
    pub fn open(&mut self, url: &str) -> Landing {
        self.walk("GET", url, "")
    }

    /// Sends a form of a page.
    ///
    /// # Panics
    /// When the server leads in circles, or does not answer.
    pub fn send(&mut self, from: &Page, form: &Form) -> Landing {
        let url = resolve(&from.url, &form.action);
        let text = encode(&form.fields);
        if form.method == "post" {
            return self.walk("POST", &url, &text);
        }
        let bare = url.split('?').next().unwrap_or_default();
        self.walk("GET", &format!("{bare}?{text}"), "")
    }

    fn walk(&mut self, method: &str, url: &str, body: &str) -> Landing {
        let (mut method, mut url, mut body) = (method.to_owned(), url.to_owned(), body.to_owned());
        for _ in 0..STEPS {
            if !self.is_own(&url) {
                return Landing::Elsewhere(url);
            }
            let response = self.once(&method, &url, &body);
            let Some(next) = response.header("location").filter(|_| response.status / 100 == 3)
            else {
                return Landing::Page(Page { url, response });
            };
            let next = resolve(&url, next);
            // A 307 or 308 takes the form along, to whomever: what RFC 9700 §4.12 warns of must show here.
            if !matches!(response.status, 307 | 308) {
                (method, body) = ("GET".to_owned(), String::new());
            }
            url = next;
        }
        panic!("{url} leads in circles");
    }

    /// One request, without following.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn once(&mut self, method: &str, url: &str, body: &str) -> Response {
        let pairs: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let cookie = pairs.join("; ");
        let mut headers = vec![("accept", "text/html"), ("user-agent", "testkit")];
        if !cookie.is_empty() {
            headers.push(("cookie", &cookie));
        }
        let origin = self.origin.clone();
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
            headers.push(("origin", &origin));
        }
        let url = url.split('#').next().unwrap_or_default();
        let response = request(method, url, &headers, body.as_bytes());
        for line in response.values("set-cookie") {
            self.keep(line);
        }
        response
    }

    fn keep(&mut self, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        if parts.any(|it| it.eq_ignore_ascii_case("max-age=0")) {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    fn is_own(&self, url: &str) -> bool {
        let rest = url.strip_prefix(&self.origin);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

/// `name=value&…` as a browser sends it.
pub fn encode<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> String {
    let pair =
        |(name, value): &(N, V)| format!("{}={}", escape(name.as_ref()), escape(value.as_ref()));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but the unreserved characters (RFC 3986 §2.3).
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// The value of a parameter in the query of `url`.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split('#').next()?.split_once('?')?.1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&digits, 16).expect("a percent-encoded byte"));
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn resolve(base: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_owned();
    }
    let host = base.find("://").map_or(0, |at| at + 3);
    let end = base[host..].find(['/', '?', '#']).map_or(base.len(), |at| host + at);
    match target {
        "" => base.to_owned(),
        path if path.starts_with('/') => format!("{}{path}", &base[..end]),
        other => format!("{}/{other}", &base[..end]),
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(&rest[..rest.find(to)?])
}

fn form(html: &str) -> Option<Form> {
    let inner = between(html, "<form", "</form>")?;
    let (head, body) = inner.split_once('>')?;
    let inputs =
        body.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
    let named = inputs.filter_map(|tag| {
        Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
    });
    Some(Form {
        action: attribute(head, "action").unwrap_or_default(),
        method: attribute(head, "method").unwrap_or_default().to_ascii_lowercase(),
        fields: named.collect(),
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    between(tag, &format!(" {name}=\""), "\"").map(unescape)
}

/// Character references as templates write them: by number, and the five that have names in XML.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out += &rest[..at];
        rest = &rest[at..];
        let end = rest.find(';').unwrap_or(0);
        let known = match rest.get(1..end).unwrap_or_default() {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            other => other.strip_prefix('#').and_then(|digits| {
                let hex = digits.strip_prefix(['x', 'X']);
                let number = hex.map_or_else(|| digits.parse(), |it| u32::from_str_radix(it, 16));
                char::from_u32(number.ok()?)
            }),
        };
        match known {
            Some(character) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_reads_it() {
        let html = "<p></p><form class=\"x\" method=\"POST\" action=\"/a?b&#38;c\">\n\
                    <input type=\"hidden\" name=\"csrf\" value=\"&lt;&#x26;&quot;&unknown;\">\
                    <input id=\"e\" name=\"e\"><button name=\"answer\" value=\"no\"></form>";
        let read = form(html).unwrap();
        assert_eq!((read.action.as_str(), read.method.as_str()), ("/a?b&c", "post"));
        assert_eq!(read.value("csrf"), Some("<&\"&unknown;"));
        assert_eq!(
            encode(&read.with("e", "ü &").fields),
            "csrf=%3C%26%22%26unknown%3B&e=%C3%BC%20%26"
        );
    }

    #[test]
    fn it_stays_with_its_server() {
        let browser = Browser::new("http://localhost:1");
        let check = |url: &str, own: bool| assert_eq!(browser.is_own(url), own, "{url}");
        check("http://localhost:1/x", true);
        check("http://localhost:1?x", true);
        check("http://localhost:12/x", false);
        check("http://localhost:1.evil.example/", false);
        check("https://localhost:1/", false);
    }

    #[test]
    fn addresses_are_resolved_and_taken_apart() {
        assert_eq!(resolve("http://h:1/a/b?c", "/d?e"), "http://h:1/d?e");
        assert_eq!(resolve("http://h:1", "http://o/"), "http://o/");
        assert_eq!(parameter("http://h/?a=1&b=x%20y+z#b", "b").as_deref(), Some("x y z"));
        assert_eq!(parameter("http://h/?ab=1", "b"), None);
    }
}
