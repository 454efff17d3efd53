//! The tree of path segments of one host.

use super::method::MethodSet;
use super::pattern::{PathPattern, Segment};
use crate::path;
use foldhash::fast::FixedState;
use std::borrow::Cow;
use std::collections::HashMap;

/// One route at the end of a pattern.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) methods: Option<MethodSet>,
    pub(super) index: usize,
}

/// The routes that share a pattern.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) routes: Vec<Route>,
    /// All their methods; means nothing when one takes any.
    pub(super) allowed: MethodSet,
}

#[derive(Debug, Default)]
struct Node {
    // WHY: a fixed seed; the keys are the operator's, a caller only looks up.
    literal: HashMap<Box<[u8]>, Node, FixedState>,
    one: Option<Box<Node>>,
    rest: Option<End>,
    end: Option<End>,
}

/// The tree. A look-up visits a node at most once, for each is reached by one sequence of segments.
#[derive(Debug, Default)]
pub(super) struct Trie {
    root: Node,
}

impl Trie {
    /// Adds a route; returns the routes that it conflicts with, and in which methods.
    pub(super) fn insert(
        &mut self,
        pattern: &PathPattern,
        methods: Option<&MethodSet>,
        index: usize,
    ) -> Vec<(usize, String)> {
        let mut node = &mut self.root;
        let mut rest = false;
        for segment in &pattern.segments {
            match segment {
                Segment::Literal(text) => node = node.literal.entry(text.clone()).or_default(),
                Segment::One => node = node.one.get_or_insert_default(),
                Segment::Rest => rest = true,
            }
        }
        let end = if rest { &mut node.rest } else { &mut node.end }.get_or_insert_default();
        let mut conflicts = Vec::new();
        for route in &end.routes {
            match (&route.methods, methods) {
                (None, None) => conflicts.push((route.index, "any method".to_owned())),
                (Some(have), Some(new)) => {
                    let common = have.common(new);
                    if !common.is_empty() {
                        conflicts.push((route.index, common.to_string()));
                    }
                }
                _ => {}
            }
        }
        if let Some(methods) = methods {
            end.allowed.extend(methods);
        }
        end.routes.push(Route { methods: methods.cloned(), index });
        conflicts
    }

    /// The routes of the most specific pattern that matches a canonical path.
    pub(super) fn find(&self, path: &str) -> Option<&End> {
        // What is no path matches nothing, not even `/{**}`.
        let rest = path.as_bytes().strip_prefix(b"/")?;
        self.root.find(Some(rest))
    }
}

impl Node {
    /// `rest` is what stands behind the slash after this node's segment; `None` when the path ends with it.
    fn find(&self, rest: Option<&[u8]>) -> Option<&End> {
        let Some(rest) = rest else {
            return self.end.as_ref().or(self.rest.as_ref());
        };
        // INVARIANT: recursion is as deep as a pattern has segments at most.
        let (segment, next) = split(rest);
        let literal = self.literal(segment).and_then(|node| node.find(next));
        literal
            .or_else(|| {
                self.one.as_ref().filter(|_| !segment.is_empty()).and_then(|node| node.find(next))
            })
            .or(self.rest.as_ref())
    }

    fn literal(&self, segment: &[u8]) -> Option<&Self> {
        if self.literal.is_empty() {
            return None;
        }
        let decoded = if segment.contains(&b'%') {
            Cow::Owned(path::decode(segment))
        } else {
            Cow::Borrowed(segment)
        };
        self.literal.get(&*decoded)
    }
}

fn split(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    match rest.iter().position(|byte| *byte == b'/') {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        None => (rest, None),
    }
}
