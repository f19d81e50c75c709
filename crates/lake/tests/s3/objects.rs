use bytes::Bytes;
use futures::future::join_all;
use lake::{Put, S3Options, Storage, StorageError};

use crate::stores::Store;

const MIB: usize = 1 << 20;

/// Bytes that differ by seed and place, so that no two parts are the same.
fn bytes(n: usize, seed: u8) -> Bytes {
    (0..n)
        .map(|at| at.wrapping_mul(31).wrapping_add(at >> 12).to_le_bytes()[0] ^ seed)
        .collect()
}

/// Writes an object, reads it in every way, and takes it away.
async fn check_life_of_an_object(storage: &dyn Storage, location: &str, content: Bytes) {
    assert_eq!(storage.size(location).await.unwrap(), None, "{location}");
    let put = storage.put_new(location, content.clone()).await.unwrap();
    assert_eq!(put, Put::Written, "{location}");
    assert_eq!(storage.get(location).await.unwrap(), content, "{location}");
    let n_bytes = content.len() as u64;
    assert_eq!(storage.size(location).await.unwrap(), Some(n_bytes));

    let other = storage.put_new(location, bytes(7, 99)).await.unwrap();
    assert_eq!(other, Put::AlreadyThere, "{location}");
    assert_eq!(storage.get(location).await.unwrap(), content, "{location}");

    let directory = location.rsplit_once('/').unwrap().0;
    let listed = storage.list(directory).await.unwrap();
    let [listed] = listed.as_slice() else {
        panic!("{location} is listed as {listed:?}");
    };
    assert_eq!(
        (listed.location.as_str(), listed.bytes),
        (location, n_bytes)
    );
    // 2026-01-01; a store that says nothing would say 1970.
    assert!(listed.modified_ms > 1_767_225_600_000, "{listed:?}");

    storage.delete(location).await.unwrap();
    assert!(!storage.exists(location).await.unwrap(), "{location}");
    let error = storage.get(location).await.unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
    assert!(!error.retryable());
    storage.delete(location).await.unwrap();
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn an_object_is_written_once_read_listed_and_deleted() {
    for store in Store::both() {
        let storage = store.storage().await;
        check_life_of_an_object(&storage, &store.at("a/b/object"), bytes(10_000, 1)).await;
        check_life_of_an_object(&storage, &store.at("empty"), Bytes::new()).await;
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn keys_with_odd_characters_name_what_they_say() {
    for store in Store::both() {
        let storage = store.storage().await;
        for key in [
            "two words",
            "per%cent",
            "per%20cent",
            "a+b=c&d",
            "what?#",
            "name=value",
            "Tromsø 日本 🧊",
            "it's \"quoted\" <so>",
            "(brackets) [and] {braces}",
            "at@colon:semi;comma,$!*~",
        ] {
            check_life_of_an_object(&storage, &store.at(&format!("{key}/{key}")), bytes(9, 2))
                .await;
        }
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn other_spellings_of_the_scheme_name_the_same_object() {
    for store in Store::both() {
        let storage = store.storage().await;
        let location = store.at("shared");
        storage.put_new(&location, bytes(5, 3)).await.unwrap();
        let other = location.replace("s3://", "s3a://");
        assert_eq!(storage.get(&other).await.unwrap(), bytes(5, 3));
        let listed = storage.list(&store.at("").replace("s3://", "s3a://")).await;
        assert_eq!(listed.unwrap()[0].location, other, "{}", store.name);
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn of_sixteen_writers_of_one_name_exactly_one_wins() {
    // Of whole objects: where the last request of an upload in parts meets another, both of these servers may let
    // several win. AWS says that it does not.
    for store in Store::both() {
        let storage = store.storage().await;
        for round in 0..10 {
            let location = store.at(&format!("contested-{round}"));
            check_race(&storage, &location, 16, 3_000).await;
        }
    }
}

/// Lets writers of different bytes race for one name.
async fn check_race(storage: &lake::S3Storage, location: &str, n_writers: u8, n_bytes: usize) {
    let writers = (0..n_writers).map(|writer| {
        let (storage, location) = (storage.clone(), location.to_owned());
        tokio::spawn(async move {
            let put = storage.put_new(&location, bytes(n_bytes, writer)).await;
            (writer, put.unwrap())
        })
    });
    let puts: Vec<(u8, Put)> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let winners: Vec<u8> = puts
        .iter()
        .filter(|(_, put)| *put == Put::Written)
        .map(|(writer, _)| *writer)
        .collect();
    let [winner] = winners.as_slice() else {
        panic!("{location} was written by {winners:?}");
    };
    assert_eq!(
        storage.get(location).await.unwrap(),
        bytes(n_bytes, *winner)
    );
}

/// A storage that sends everything above 5 MiB in parts of that size.
async fn in_parts(store: &Store) -> lake::S3Storage {
    let options = S3Options {
        multipart_bytes: 5 * MIB as u64,
        part_bytes: 5 * MIB as u64,
        ..store.options.clone()
    };
    lake::S3Storage::new(&options).await.unwrap()
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn large_objects_go_in_parts_and_leave_no_upload_behind() {
    for store in Store::both() {
        let storage = in_parts(&store).await;
        for n_bytes in [5 * MIB, 5 * MIB + 1, 23 * MIB + 17] {
            let location = store.at(&format!("large/{n_bytes}/object"));
            let content = bytes(n_bytes, 4);
            let put = storage.put_new(&location, content.clone()).await.unwrap();
            assert_eq!(put, Put::Written);
            assert!(
                storage.get(&location).await.unwrap() == content,
                "{location}"
            );
            // The name is taken for an object in parts too, whoever comes.
            let again = storage.put_new(&location, bytes(n_bytes, 5)).await.unwrap();
            assert_eq!(again, Put::AlreadyThere, "{location}");
            assert!(
                storage.get(&location).await.unwrap() == content,
                "{location}"
            );
        }
        assert_eq!(store.n_open_uploads().await, 0, "{}", store.name);
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn more_objects_than_a_page_holds_are_listed_in_order_and_no_neighbours() {
    for store in Store::both() {
        let storage = store.storage().await;
        let mut expected: Vec<String> = (0..1_050)
            .map(|n| store.at(&format!("many/{}/{n}", n % 7)))
            .collect();
        let neighbour = store.at("many-more/0");
        for locations in expected.chunks(50) {
            let puts = locations.iter().map(|at| storage.put_new(at, bytes(3, 6)));
            for put in join_all(puts).await {
                assert_eq!(put.unwrap(), Put::Written);
            }
        }
        storage.put_new(&neighbour, bytes(3, 6)).await.unwrap();

        expected.sort();
        for prefix in [store.at("many"), store.at("many/")] {
            let listed = storage.list(&prefix).await.unwrap();
            let locations: Vec<String> = listed.into_iter().map(|listed| listed.location).collect();
            assert_eq!(locations, expected, "{}", store.name);
        }
        assert!(storage.list(&store.at("man")).await.unwrap().is_empty());
    }
}
