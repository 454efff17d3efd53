//! What a browser's own name is shown as.
//!
//! WHY no more than a few words of ours: whoever signs in chooses the text of `User-Agent`, and would write to the
//! account's owner with it.

/// Marks of browsers, the more particular first: all of them claim to be their ancestors.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];
/// Marks of systems, the more particular first.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// Which browser on which system a `User-Agent` seems to speak of: `("Firefox", "Linux")`. Each is a word of a fixed
/// list, or nothing.
pub fn browser(user_agent: &str) -> (Option<&'static str>, Option<&'static str>) {
    let find = |marks: &[(&str, &'static str)]| {
        marks.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    (find(BROWSERS), find(SYSTEMS))
}
