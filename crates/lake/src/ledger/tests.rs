mod walk;

use super::*;
use crate::local::LocalStorage;
use crate::range::SequenceNumber;

/// The ledger of a table whose objects all lie in this directory.
fn ledger<'a>(directory: &str, cache: &'a LedgerCache, head: Option<&'a str>) -> Ledger<'a> {
    Ledger {
        storage: &LocalStorage,
        table_places: [directory.to_owned(), directory.to_owned()],
        lake_storage: &LocalStorage,
        path: None,
        cache,
        head,
    }
}

fn token(n: u32) -> Token {
    Token::new(Uuid::nil(), "test", &n.to_le_bytes())
}

fn tokens(numbers: impl IntoIterator<Item = u32>) -> Wanted {
    Wanted {
        tokens: numbers.into_iter().map(token).collect(),
        ..Wanted::default()
    }
}

const SHARD: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/shardId-000000000007";

/// A number with as many digits as those of Kinesis.
fn number(n: u128) -> SequenceNumber {
    format!("4959033827149{n:043}").parse().unwrap()
}

fn range(first: u128, last: u128) -> RecordRange {
    RecordRange {
        shard: SHARD.to_owned(),
        first: number(first),
        last: number(last),
    }
}

async fn fill(
    directory: &str,
    cache: &LedgerCache,
    n_commits: u32,
    bytes: usize,
) -> Option<String> {
    let mut head: Option<String> = None;
    for n in 0..n_commits {
        let ledger = ledger(directory, cache, head.as_deref());
        let commit = NewCommit {
            snapshot_id: i64::from(n),
            committed_ms: i64::from(n) * 1000,
            batches: vec![(token(n), None)],
        };
        head = Some(ledger.with(&commit, bytes).await.unwrap());
    }
    head
}

async fn n_segments(head: Option<&str>) -> usize {
    let mut n_segments = 0;
    let mut next = head.map(str::to_owned);
    while let Some(location) = next {
        n_segments += 1;
        let bytes = LocalStorage.get(&location).await.unwrap();
        next = serde_json::from_slice::<Segment>(&bytes).unwrap().previous;
    }
    n_segments
}

#[tokio::test]
async fn every_commit_is_found_across_segments_by_a_process_that_saw_none_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = fill(&directory, &LedgerCache::default(), 40, 2000).await;
    assert!(n_segments(head.as_deref()).await > 4);

    let cache = LedgerCache::default();
    let ledger = ledger(&directory, &cache, head.as_deref());
    let found = ledger.find(&tokens(0..50), i64::MIN).await.unwrap().tokens;
    assert_eq!(found.len(), 40);
    assert_eq!(found[&token(0)], 0);
    assert_eq!(found[&token(39)], 39);
}

#[tokio::test]
async fn the_look_up_stops_at_the_time_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = fill(&directory, &LedgerCache::default(), 40, 2000).await;
    let cache = LedgerCache::default();
    let ledger = ledger(&directory, &cache, head.as_deref());
    let found = ledger.find(&tokens([0, 39]), 38_000).await.unwrap();
    assert_eq!(found.tokens.into_keys().collect::<Vec<_>>(), [token(39)]);
    assert!(cache.n_segments() <= 2);
}

#[tokio::test]
async fn many_tokens_of_one_commit_are_spread_over_segments() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let cache = LedgerCache::default();
    let ledger = ledger(&directory, &cache, None);
    let commit = NewCommit {
        snapshot_id: 7,
        committed_ms: 1,
        batches: (0..5000).map(|n| (token(n), None)).collect(),
    };
    let head = ledger.with(&commit, 64 << 10).await.unwrap();
    for listed in LocalStorage.list(&directory).await.unwrap() {
        assert!(listed.bytes <= 64 << 10, "{listed:?}");
    }
    let ledger = Ledger {
        head: Some(&head),
        ..ledger
    };
    let found = ledger.find(&tokens(0..5000), 0).await.unwrap();
    assert_eq!(found.tokens.len(), 5000);
}

#[tokio::test]
async fn a_segment_that_is_gone_is_an_error_and_not_an_empty_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = format!("{directory}/gone.json");
    let cache = LedgerCache::default();
    let ledger = ledger(&directory, &cache, Some(&head));
    let error = ledger.find(&tokens([1]), 0).await.unwrap_err();
    assert!(error.to_string().contains("gone.json"), "{error}");
}

/// Commits these ranges one by one and returns the newest segment.
async fn fill_ranges(directory: &str, ranges: impl Iterator<Item = (u128, u128)>) -> String {
    let cache = LedgerCache::default();
    let mut head: Option<String> = None;
    for (n, (first, last)) in (0..).zip(ranges) {
        let ledger = ledger(directory, &cache, head.as_deref());
        let commit = NewCommit {
            snapshot_id: i64::from(n),
            committed_ms: i64::from(n),
            batches: vec![(token(n), Some(range(first, last)))],
        };
        head = Some(ledger.with(&commit, 4000).await.unwrap());
    }
    head.unwrap()
}

async fn known_ranges(head: &str, shard: &str, records: &RangeSet) -> Option<RangeSet> {
    let (cache, directory) = (LedgerCache::default(), "");
    let ledger = ledger(directory, &cache, Some(head));
    let wanted = Wanted {
        ranges: HashMap::from([(shard.to_owned(), records.clone())]),
        ..Wanted::default()
    };
    let mut known = ledger.find(&wanted, i64::MIN).await.unwrap();
    known.ranges.remove(shard)
}

#[tokio::test]
async fn ranges_are_found_across_segments_that_stay_small() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = fill_ranges(&directory, (0..100).map(|n| (n * 10, n * 10 + 4))).await;
    assert!(n_segments(Some(&head)).await > 4);
    for listed in LocalStorage.list(&directory).await.unwrap() {
        assert!(listed.bytes <= 4000, "{listed:?}");
    }
    let mut wanted = RangeSet::default();
    wanted.insert(&number(200), &number(503));
    let known = known_ranges(&head, SHARD, &wanted).await.unwrap();
    for n in 0..100 {
        let is_wanted = (20..50).contains(&n);
        assert_eq!(
            known.covers(&number(n * 10), &number(n * 10 + 4)),
            is_wanted
        );
        assert!(!known.contains(&number(n * 10 + 5)));
    }
    assert!(known.covers(&number(500), &number(503)));
    assert_eq!(known_ranges(&head, "another", &wanted).await, None);
    let mut between = RangeSet::default();
    between.insert(&number(15), &number(19));
    assert_eq!(known_ranges(&head, SHARD, &between).await, None);
}

#[tokio::test]
async fn ranges_that_touch_take_the_room_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let head = fill_ranges(&directory, (0..15).map(|n| (n * 10, n * 10 + 9))).await;
    let bytes = LocalStorage.get(&head).await.unwrap();
    let segment: Segment = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((segment.format, segment.commits.len()), (2, 15));
    let mut one = RangeSet::default();
    one.insert(&number(0), &number(149));
    assert_eq!(segment.ranges[SHARD], one);
}

#[tokio::test]
async fn a_segment_from_before_there_were_ranges_is_read_and_one_from_the_future_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", directory.path().display());
    let segment = |format: u32| {
        let token = token(1);
        format!(
            r#"{{"format":{format},"begun_ms":1,"previous":null,"commits":[{{"snapshot_id":5,"committed_ms":1,"tokens":["{token}"]}}]}}"#
        )
    };
    for format in [1, 3] {
        let location = format!("{directory}/segment-{format}");
        let bytes = Bytes::from(segment(format));
        LocalStorage.put_new(&location, bytes).await.unwrap();
        let cache = LedgerCache::default();
        let ledger = ledger(&directory, &cache, Some(&location));
        match ledger.find(&tokens([1]), 0).await {
            Ok(known) => assert_eq!((format, known.tokens[&token(1)]), (1, 5)),
            Err(error) => assert!(error.to_string().contains("format 3"), "{error}"),
        }
    }
}
