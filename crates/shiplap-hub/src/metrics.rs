//! Numbers for Prometheus: counters that requests add to without waiting for each other.
//!
//! No label holds a name of a user or repository: there could be any number of them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};

/// Upper bounds of the histogram of times, in milliseconds.
const BOUNDS_MS: [u64; 10] = [1, 5, 10, 25, 50, 100, 250, 1000, 5000, 30_000];

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const CLASSES: usize = 6;

/// The hub's counters.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [[AtomicU64; CLASSES]; METHODS.len()],
    slower: [AtomicU64; BOUNDS_MS.len()],
    seconds_us: AtomicU64,
    count: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    in_flight: AtomicI64,
    connections: AtomicI64,
    refused_connections: AtomicU64,
    failed_logins: AtomicU64,
    collected: AtomicU64,
    upstream: AtomicU64,
}

/// Something that goes on as long as this is there.
#[derive(Debug)]
pub struct Gauge<'m>(&'m AtomicI64);

impl<'m> Gauge<'m> {
    fn new(gauge: &'m AtomicI64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub fn request(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.iter().position(|name| *name == method.as_str());
        let class = usize::from(status.as_u16() / 100).min(CLASSES - 1);
        if let Some(counter) = method.and_then(|method| self.requests.get(method)?.get(class)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.seconds_us.fetch_add(us, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        for (bound, counter) in BOUNDS_MS.iter().zip(&self.slower) {
            if us <= bound * 1000 {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A request that is being done.
    pub fn in_flight(&self) -> Gauge<'_> {
        Gauge::new(&self.in_flight)
    }

    /// A connection that is open.
    pub fn connection(&self) -> Gauge<'_> {
        Gauge::new(&self.connections)
    }

    /// Counts a connection that was turned away, since there are too many.
    pub fn refused_connection(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of blobs that came.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of blobs that were asked for.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a credential that was wrong.
    pub fn failed_login(&self) {
        self.failed_logins.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts objects that were removed since nothing needed them.
    pub fn collected(&self, objects: u64) {
        self.collected.fetch_add(objects, Ordering::Relaxed);
    }

    /// Counts a request to an upstream registry.
    pub fn upstream(&self) {
        self.upstream.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it in Prometheus' text form.
    #[must_use]
    pub fn text(&self, uploads: u64) -> String {
        let mut text = String::new();
        self.write(&mut text, uploads)
            .expect("because writing to a String can't fail");
        text
    }

    fn write(&self, text: &mut String, uploads: u64) -> std::fmt::Result {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        writeln!(text, "# TYPE shiplap_hub_requests_total counter")?;
        for (method, classes) in METHODS.iter().zip(&self.requests) {
            for (class, counter) in classes.iter().enumerate().skip(1) {
                writeln!(
                    text,
                    "shiplap_hub_requests_total{{method=\"{method}\",status=\"{class}xx\"}} {}",
                    of(counter)
                )?;
            }
        }
        writeln!(text, "# TYPE shiplap_hub_request_seconds histogram")?;
        for (bound, counter) in BOUNDS_MS.iter().zip(&self.slower) {
            let seconds = Duration::from_millis(*bound).as_secs_f64();
            writeln!(
                text,
                "shiplap_hub_request_seconds_bucket{{le=\"{seconds}\"}} {}",
                of(counter)
            )?;
        }
        let (count, us) = (of(&self.count), of(&self.seconds_us));
        let sum = Duration::from_micros(us).as_secs_f64();
        writeln!(
            text,
            "shiplap_hub_request_seconds_bucket{{le=\"+Inf\"}} {count}"
        )?;
        writeln!(text, "shiplap_hub_request_seconds_sum {sum}")?;
        writeln!(text, "shiplap_hub_request_seconds_count {count}")?;
        let counters = [
            ("received_bytes", &self.received),
            ("sent_bytes", &self.sent),
            ("refused_connections", &self.refused_connections),
            ("failed_logins", &self.failed_logins),
            ("collected_objects", &self.collected),
            ("upstream_requests", &self.upstream),
        ];
        for (name, counter) in counters {
            writeln!(text, "# TYPE shiplap_hub_{name}_total counter")?;
            writeln!(text, "shiplap_hub_{name}_total {}", of(counter))?;
        }
        let gauges = [
            ("requests_in_flight", self.in_flight.load(Ordering::Relaxed)),
            ("connections", self.connections.load(Ordering::Relaxed)),
            ("uploads", i64::try_from(uploads).unwrap_or(i64::MAX)),
        ];
        for (name, value) in gauges {
            writeln!(text, "# TYPE shiplap_hub_{name} gauge")?;
            writeln!(text, "shiplap_hub_{name} {value}")?;
        }
        Ok(())
    }
}
