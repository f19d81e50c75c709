//! What holds for every shape, and what each one promises.

#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::collections::{HashMap, HashSet};

use generator::{Corpus, Generator, Kind, Settings, Shape};
use serde_json::Value;

const N_EVENTS: usize = 5_000;

fn settings(shape: Shape) -> Settings {
    Settings {
        shape,
        ..Settings::default()
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_any_number_of_calls() {
    for shape in Shape::ALL {
        let mut at_once = Vec::new();
        Generator::new(&settings(shape)).write_events(1_000, &mut at_once);

        let (mut piecemeal, mut generator) = (Vec::new(), Generator::new(&settings(shape)));
        for n in [1, 0, 332, 667] {
            generator.write_events(n, &mut piecemeal);
        }
        assert!(at_once == piecemeal, "shape {}", shape.name());
    }
}

#[test]
fn another_seed_gives_other_bytes() {
    for shape in Shape::ALL {
        let seven = Corpus::new(&settings(shape), 100);
        let eight = Corpus::new(
            &Settings {
                seed: 8,
                ..settings(shape)
            },
            100,
        );
        assert!(seven.ndjson() != eight.ndjson(), "shape {}", shape.name());
    }
}

#[test]
fn every_event_is_one_line() {
    for shape in Shape::ALL {
        let corpus = Corpus::new(&settings(shape), N_EVENTS);
        let n_lines = corpus
            .ndjson()
            .split_inclusive(|&byte| byte == b'\n')
            .count();
        assert_eq!(
            (n_lines, corpus.events().len()),
            (N_EVENTS, N_EVENTS),
            "shape {}",
            shape.name()
        );
        assert!(
            corpus
                .events()
                .all(|event| !event.is_empty() && !event.contains(&b'\n'))
        );
    }
}

#[test]
fn wide_events_have_two_hundred_columns() {
    check_sound(Shape::Wide, |event| {
        assert_eq!(event.as_object().unwrap().len(), 200);
    });
}

#[test]
fn deep_events_go_deeper_than_columns_do() {
    check_sound(Shape::Deep, |event| {
        let mut depth = 1;
        let mut node = event;
        while let Some(child) = node.get("child") {
            (node, depth) = (child, depth + 1);
        }
        assert!((9..=40).contains(&depth), "{depth} levels");
    });
}

#[test]
fn sparse_events_draw_from_two_thousand_keys() {
    let mut keys = HashSet::new();
    check_sound(Shape::Sparse, |event| {
        let attributes = event["attributes"].as_object().unwrap();
        assert_eq!(attributes.len(), 20);
        keys.extend(attributes.keys().cloned());
    });
    assert_eq!(keys.len(), 2_000);
}

/// Holds each event of a shape without faults against a check of its own.
fn check_sound(shape: Shape, mut check: impl FnMut(&Value)) {
    let corpus = Corpus::new(&settings(shape), N_EVENTS);
    assert!(corpus.kinds().iter().all(|&kind| kind == Kind::Sound));
    for event in corpus.events() {
        check(&serde_json::from_slice(event).unwrap());
    }
}

#[test]
fn hostile_events_are_what_their_kind_says() {
    let corpus = Corpus::new(&settings(Shape::Hostile), 20_000);
    for (event, kind) in corpus.events().zip(corpus.kinds()) {
        let value: Option<Value> = serde_json::from_slice(event).ok();
        let fits = match kind {
            Kind::Broken => value.is_none(),
            Kind::NotAnObject => value.is_some_and(|value| !value.is_object()),
            Kind::MissingTime => value.is_some_and(|value| value["event_time"].is_null()),
            Kind::TooLong => value.is_some() && event.len() > 1 << 20,
            Kind::HugeString => value.is_some() && event.len() > 8 << 10,
            _ => value.is_some_and(|value| !value["event_time"].is_null()),
        };
        assert!(
            fits,
            "{kind:?}: {}",
            String::from_utf8_lossy(&event[..event.len().min(2_000)])
        );
    }
}

#[test]
fn broken_events_stay_broken_when_their_bytes_are_made_utf_8() {
    let corpus = Corpus::new(&settings(Shape::Hostile), 20_000);
    for (event, kind) in corpus.events().zip(corpus.kinds()) {
        if *kind == Kind::Broken {
            let text = String::from_utf8_lossy(event);
            assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
        }
    }
}

#[test]
fn every_kind_of_hostile_event_has_its_share() {
    const N_EVENTS: u32 = 40_000;
    let corpus = Corpus::new(&settings(Shape::Hostile), N_EVENTS as usize);
    let mut counts: HashMap<Kind, u32> = HashMap::new();
    for &kind in corpus.kinds() {
        *counts.entry(kind).or_default() += 1;
    }
    assert_eq!(
        Kind::SHARES.iter().map(|(_, share)| share).sum::<u64>(),
        10_000
    );
    for (kind, share) in Kind::SHARES {
        let expected = f64::from(N_EVENTS) * share as f64 / 10_000.0;
        let found = f64::from(counts[&kind]);
        // Four standard deviations of a Poisson count.
        assert!(
            (found - expected).abs() < 4.0 * expected.sqrt(),
            "{kind:?}: {found}, not {expected}"
        );
    }
}

#[test]
fn every_tenth_hostile_event_is_sound_so_that_a_body_begins_with_a_whole_object() {
    let corpus = Corpus::new(&settings(Shape::Hostile), N_EVENTS);
    assert!(
        corpus
            .kinds()
            .iter()
            .step_by(10)
            .all(|&kind| kind == Kind::Sound)
    );
}
