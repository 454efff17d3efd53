//! Counters for Prometheus. A request touches atomics that were looked up when its route was compiled.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Buckets from 100 µs to about 26 s, a factor of 4 apart.
const BUCKETS: (f64, f64, u16) = (0.0001, 4.0, 10);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByRoute {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByCode {
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByRouteAndClass {
    route: String,
    status: String,
}

/// The gateway's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<ByRouteAndClass, Counter>,
    latency: Family<ByRoute, Histogram, fn() -> Histogram>,
    denials: Family<ByCode, Counter>,
    /// Connections open now.
    pub connections: Gauge,
    /// Connections taken since the start.
    pub accepted: Counter,
    /// Connections that ended in a panic.
    pub panics: Counter,
}

/// The counters of one route.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    by_class: [Counter; 6],
    latency: Histogram,
}

impl RouteMetrics {
    /// One request is over.
    pub(crate) fn count(&self, status: u16, latency_us: u32) {
        let class = usize::from(status / 100).min(5);
        if let Some(counter) = self.by_class.get(class) {
            counter.inc();
        }
        self.latency.observe(f64::from(latency_us) / 1_000_000.0);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers all metrics.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let requests = Family::default();
        let latency: Family<ByRoute, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| {
                let (start, factor, count) = BUCKETS;
                Histogram::new(exponential_buckets(start, factor, count))
            });
        let denials = Family::default();
        let (connections, accepted, panics) =
            (Gauge::default(), Counter::default(), Counter::default());
        registry.register("requests", "Requests by route and class of status", requests.clone());
        registry.register_with_unit(
            "latency",
            "From the head read to the last byte sent",
            Unit::Seconds,
            latency.clone(),
        );
        registry.register("denials", "Refused requests by code", denials.clone());
        registry.register("connections", "Connections open now", connections.clone());
        registry.register("accepted", "Connections taken", accepted.clone());
        registry.register("panics", "Connections that failed inside the gate", panics.clone());
        Self { registry, requests, latency, denials, connections, accepted, panics }
    }

    /// Further metrics, of other crates.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The counters of a route.
    pub fn route(&self, route: &str) -> RouteMetrics {
        let class = |status: &str| {
            let labels = ByRouteAndClass { route: route.to_owned(), status: status.to_owned() };
            self.requests.get_or_create_owned(&labels)
        };
        RouteMetrics {
            by_class: [
                class("none"),
                class("1xx"),
                class("2xx"),
                class("3xx"),
                class("4xx"),
                class("5xx"),
            ],
            latency: self.latency.get_or_create_owned(&ByRoute { route: route.to_owned() }),
        }
    }

    /// A request was refused.
    pub(crate) fn denied(&self, code: &str) {
        self.denials.get_or_create(&ByCode { code: code.to_owned() }).inc();
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
