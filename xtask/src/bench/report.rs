//! The tables, ready for `docs/PERFORMANCE.md`.

use super::cases::Proxy;
use super::load::Latency;
use super::{Outcome, Run};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The Markdown of a run.
pub(crate) fn markdown(run: &Run, machine: &str, command: &str) -> String {
    let outcomes = &run.outcomes;
    let rounds = outcomes.first().map_or(0, |outcome| outcome.samples.len());
    let mut text = format!("`{command}` on {machine}; median of {rounds}.\n\n");
    text += "| proxy | case | CPU µs/request | lowest–highest | × nginx | requests/s |\n";
    text += "|---|---|---:|---:|---:|---:|\n";
    for outcome in outcomes {
        let cpu: Vec<f64> = outcome.samples.iter().map(|sample| sample.cpu_us).collect();
        let rate: Vec<f64> = outcome.samples.iter().map(|sample| sample.rate).collect();
        let low = cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let high = cpu.iter().copied().fold(0.0, f64::max);
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {low:.1}–{high:.1} | {} | {:.0} |",
            outcome.case.proxy.name(),
            outcome.case.what,
            median(&cpu),
            ratio(outcomes, &cpu),
            median(&rate),
        );
    }
    text += &latency(outcomes);
    text += &memory(outcomes);
    if let Some(passed) = run.one_more_key {
        let _ = writeln!(
            text,
            "\nCreating one key among a million, from the command's start until every shard knows it: {} ms.",
            passed.as_millis()
        );
    }
    text
}

/// The median of each round's ratio to nginx.
fn ratio(outcomes: &[Outcome], cpu: &[f64]) -> String {
    let Some(nginx) = outcomes.iter().find(|outcome| outcome.case.proxy == Proxy::Nginx) else {
        return "–".to_owned();
    };
    let ratios: Vec<f64> =
        cpu.iter().zip(&nginx.samples).map(|(own, base)| own / base.cpu_us).collect();
    format!("{:.2}", median(&ratios))
}

fn latency(outcomes: &[Outcome]) -> String {
    let mut text = String::from("\nLatency at a fixed 10,000 requests/s, milliseconds:\n\n");
    text += "| proxy | case | p50 | p99 | p99.9 |\n|---|---|---:|---:|---:|\n";
    for outcome in outcomes.iter().filter(|outcome| !outcome.latencies.is_empty()) {
        let of = |part: fn(&Latency) -> u64| {
            let all: Vec<f64> =
                outcome.latencies.iter().map(|latency| part(latency) as f64 / 1000.0).collect();
            median(&all)
        };
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {:.2} | {:.2} |",
            outcome.case.proxy.name(),
            outcome.case.what,
            of(|latency| latency.p50),
            of(|latency| latency.p99),
            of(|latency| latency.p999),
        );
    }
    text
}

fn memory(outcomes: &[Outcome]) -> String {
    let proxies: BTreeMap<Proxy, f64> =
        outcomes.iter().map(|outcome| (outcome.case.proxy, outcome.resident_mib)).collect();
    let mut text =
        String::from("\nResident memory after all load:\n\n| proxy | MiB |\n|---|---:|\n");
    for (proxy, mib) in proxies {
        let _ = writeln!(text, "| {} | {mib:.0} |", proxy.name());
    }
    text
}

/// The middle one; of an even count the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if sorted.len().is_multiple_of(2) => (upper + lower) / 2.0,
        (Some(upper), _) => *upper,
        _ => f64::NAN,
    }
}
