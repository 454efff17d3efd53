//! How the pages look: to a program that checks accessibility, to people who like it dark, on a telephone; and their
//! pictures, where somebody asks for them.

use crate::stage::*;
use crate::tour::{Scene, Sight};
use serde_json::{Value, json};
use testkit::WebDriver;

/// What axe-core checks: WCAG 2.2 at level AA, and what is good practice besides.
const RULES: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/// How high a window is on a desk, and on a telephone.
const HEIGHTS: [(u32, u32); 2] = [(1280, 800), (360, 740)];

/// What axe-core finds on the page that is open: rules, and the elements that break them.
pub(crate) fn findings(browser: &WebDriver) -> Vec<String> {
    let axe = testkit::parts().join("node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).expect("axe-core is installed: cargo xtask test");
    browser.run(&format!("{axe}; window.axe = axe;"), &[]);
    let found = browser.run_async(
        "const [rules, done] = arguments; \
         axe.run(document, { runOnly: rules }).then(it => done(it), it => done(String(it)));",
        &[json!(RULES)],
    );
    let passes = found["passes"].as_array().map_or(0, Vec::len);
    assert!(passes > 10, "axe-core has looked at the page: {found}");
    let violations = found["violations"].as_array().cloned().unwrap_or_default();
    let line = |it: &Value| {
        let nodes = it["nodes"].as_array().into_iter().flatten();
        let html: Vec<_> = nodes.map(|node| format!("{} {}", node["html"], node["any"])).collect();
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("impact"), text("id"), html.join("\n  "))
    };
    violations.iter().map(line).collect()
}

#[test]
fn wcag_2_2_axe_finds_nothing_on_any_page_light_or_dark() {
    let (scene, browser) = (Scene::set(), WebDriver::start());
    let mut seen = 0;
    scene.take(&browser, |sight: &Sight| {
        for dark in [false, true] {
            browser.dark(dark);
            let found = findings(&browser);
            assert!(found.is_empty(), "{}, dark: {dark}: {found:#?}", sight.name);
        }
        seen += 1;
        quiet_of(&browser, &scene.stage.gate.control());
    });
    assert!(seen >= 65, "{seen} pages");
}

/// That the check above can fail.
#[test]
fn axe_finds_a_field_without_a_label() {
    let stage = Stage::start();
    let browser = WebDriver::start();
    browser.open(&stage.at("/login"));
    browser.run("document.querySelector('label').remove();", &[]);
    let found = findings(&browser);
    assert!(found.iter().any(|it| it.starts_with("critical label")), "{found:#?}");
}

/// Elements that stand out of the window, or of what they stand in.
pub(crate) fn overflowing(browser: &WebDriver) -> Vec<String> {
    let found = browser.run(
        "const wide = document.documentElement.clientWidth, out = []; \
         if (document.documentElement.scrollWidth > wide) out.push('the page'); \
         for (const it of document.querySelectorAll('main, main *')) { \
           const box = it.getBoundingClientRect(); \
           if (it.closest('pre') && it.tagName !== 'PRE') continue; \
           if (box.width > 0 && (box.right > wide + .5 || box.left < -.5)) out.push(it.outerHTML); \
           const room = it.closest('.panel, .for, .note'); \
           if (room && room !== it && box.width > 0 && box.right > room.getBoundingClientRect().right + .5) \
             out.push(it.outerHTML); \
         } return out;",
        &[],
    );
    found.as_array().into_iter().flatten().map(ToString::to_string).collect()
}

/// Interactive elements that are too small to be hit (WCAG 2.5.8: 24 by 24 pixels).
pub(crate) fn too_small(browser: &WebDriver) -> Vec<String> {
    let found = browser.run(
        "return [...document.querySelectorAll('button, input:not([type=hidden]), a.button')] \
           .filter(it => it.getClientRects().length && it.getBoundingClientRect().height < 24) \
           .map(it => it.outerHTML);",
        &[],
    );
    found.as_array().into_iter().flatten().map(ToString::to_string).collect()
}

#[test]
fn wcag_1_4_10_nothing_stands_out_at_360_or_320_pixels() {
    let (scene, browser) = (Scene::set(), WebDriver::start());
    scene.take(&browser, |sight: &Sight| {
        for (width, height) in [(1280, 800), (360, 740), (320, 640)] {
            browser.resize(width, height);
            let found = overflowing(&browser);
            assert!(found.is_empty(), "{} at {width}: {found:#?}", sight.name);
            let small = too_small(&browser);
            assert!(small.is_empty(), "{} at {width}: {small:#?}", sight.name);
        }
        // WCAG 1.4.4: letters twice as large, on a desk and where the window is half as wide.
        browser.run("document.documentElement.style.fontSize = '200%';", &[]);
        for (width, height) in [(1280, 800), (640, 800)] {
            browser.resize(width, height);
            let found = overflowing(&browser);
            assert!(found.is_empty(), "{} with large letters at {width}: {found:#?}", sight.name);
        }
        browser.run("document.documentElement.style.fontSize = '';", &[]);
        if let Some(folder) = testkit::screens() {
            picture(&browser, sight, &folder);
        }
    });
}

pub(crate) fn picture(browser: &WebDriver, sight: &Sight, folder: &std::path::Path) {
    for (width, height) in HEIGHTS {
        if !sight.widths.contains(&width) {
            continue;
        }
        browser.resize(width, height);
        for dark in [false, true] {
            browser.dark(dark);
            let shade = if dark { "dark" } else { "light" };
            let name = format!("{}-{width}-{shade}.png", sight.name);
            std::fs::write(folder.join(name), browser.screenshot())
                .expect("the picture is written");
        }
        browser.dark(false);
    }
}
