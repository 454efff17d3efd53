//! Every page of the tour by the Tab key alone: what is reached, in which order, whether it is seen and what it is called.

use crate::stage::*;
use crate::tour::{Scene, Sight};
use serde_json::{Value, json};
use testkit::{TAB, WebDriver};

/// Everything on the page that the Tab key must reach, in the order of the document; the focus before the first of them.
const STOPS: &str = "\
    const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex], pre'; \
    const seen = (it) => it.checkVisibility({ visibilityProperty: true }); \
    const reached = (it) => it.tabIndex >= 0 && !it.disabled && !it.closest('[inert]'); \
    window.stops = [...document.querySelectorAll(all)].filter((it) => seen(it) && reached(it)); \
    document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); \
    return window.stops.map((it) => it.outerHTML.slice(0, 200));";

/// What has the focus: which of the stops it is, whether it is in the window with nothing before it, the width of the line
/// around it, and how the line stands out from what lies around (WCAG 1.4.11).
const FOCUS: &str = "\
    const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect(); \
    const [x, y] = [box.left + Math.min(box.width / 2, 20), box.top + Math.min(box.height / 2, 10)]; \
    const top = document.elementFromPoint(x, y); \
    const parts = (text) => text.match(/[\\d.]+/g).map(Number); \
    const light = (text) => parts(text).slice(0, 3).map((it) => it / 255) \
      .map((it) => it <= .04045 ? it / 12.92 : ((it + .055) / 1.055) ** 2.4) \
      .reduce((sum, it, at) => sum + it * [.2126, .7152, .0722][at], 0); \
    let around = it.parentElement; \
    const clear = (at) => { const [, , , alpha] = parts(getComputedStyle(at).backgroundColor); return alpha === 0; }; \
    while (around.parentElement && clear(around)) around = around.parentElement; \
    const [one, two] = [light(style.outlineColor), light(getComputedStyle(around).backgroundColor)]; \
    return { at: window.stops.indexOf(it), tag: it.tagName, \
      shown: it.contains(top) || !!top && top.contains(it) && top.tagName === 'LABEL', \
      width: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth), \
      contrast: (Math.max(one, two) + .05) / (Math.min(one, two) + .05) };";

/// Whether there is something before the page's own content that people would have to go through on each page, and no
/// link that spares them that (WCAG 2.4.1).
const UNSKIPPED: &str = "\
    const before = (it) => it.compareDocumentPosition(document.querySelector('h1')) & 4; \
    const first = window.stops[0], many = window.stops.filter((it) => before(it) && !it.closest('section, form')); \
    if (many.length < 2) return false; \
    const to = first.getAttribute('href') || ''; \
    return !(to.startsWith('#') && document.getElementById(to.slice(1)));";

/// Goes through the page with the Tab key.
pub(crate) fn walk(browser: &WebDriver, name: &str) -> usize {
    let stops = browser.run(STOPS, &[]);
    let stops: Vec<&str> =
        stops.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(browser.run(UNSKIPPED, &[]), json!(false), "{name}: {stops:#?}");
    for (number, html) in stops.iter().enumerate() {
        browser.press(TAB);
        let focus = browser.run(FOCUS, &[]);
        assert_eq!(focus["at"], json!(number), "{name}: {html} is not next: {focus}");
        assert!(focus["width"].as_f64() >= Some(2.0), "{name}: {html} is not marked: {focus}");
        assert!(
            focus["contrast"].as_f64() >= Some(3.0),
            "{name}: {html} is hardly marked: {focus}"
        );
        assert_eq!(focus["shown"], json!(true), "{name}: {html} is not in sight");
        let label = browser.label();
        assert!(!label.trim().is_empty(), "{name}: {html} has no name");
    }
    browser.press(TAB);
    let after = browser.run(FOCUS, &[]);
    let left =
        after["tag"] == json!("BODY") || after["at"] == json!(0) || after["tag"] == json!("HTML");
    assert!(left, "{name}: there is no way out: {after}");
    stops.len()
}

#[test]
fn wcag_2_4_3_every_page_is_walked_with_the_tab_key() {
    let (scene, browser) = (Scene::set(), WebDriver::start());
    let mut stops = 0;
    scene.take(&browser, |sight: &Sight| {
        let before = browser.focus();
        for dark in [false, true] {
            browser.dark(dark);
            stops += walk(&browser, sight.name);
        }
        browser.dark(false);
        // Where something is to be changed, that is where people are.
        let wrong = browser.run(
            "const it = document.querySelector('[aria-invalid=true]'); return it ? '#' + it.id : '';",
            &[],
        );
        // On one sight the person has gone on to what is folded away.
        let there = wrong.as_str().filter(|it| !it.is_empty() && before != "summary");
        if let Some(id) = there {
            assert!(before.ends_with(id), "{}: {before} has the focus, not {id}", sight.name);
        }
    });
    assert!(stops > 300, "{stops} stops");
}

/// That the walk can fail.
#[test]
fn a_walk_notices_what_is_wrong() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    let fails = |script: &str, said: &str| {
        browser.open(&stage.at("/login"));
        browser.run(script, &[]);
        let failed =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(&browser, "it")));
        let why = failed.expect_err(script);
        let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(why.contains(said), "{script}: {why}");
    };
    fails("document.querySelector('label').remove();", "has no name");
    fails("document.querySelector('#password').tabIndex = 1;", "is not next");
    fails("document.querySelector('button').style.outline = 'none';", "is not marked");
    fails("document.querySelector('button').style.outlineColor = '#fff';", "is hardly marked");
    fails(
        "document.querySelector('#password').onkeydown = (it) => it.preventDefault();",
        "is not next",
    );
    fails(
        "const it = document.createElement('div'); it.style.cssText = 'position: fixed; inset: 0; background: red'; \
         document.body.append(it);",
        "is not in sight",
    );
    fails(
        "const it = document.createElement('div'); it.innerHTML = '<a href=/>One</a> <a href=/>Two</a>'; \
         document.body.prepend(it);",
        "it: [",
    );
}
