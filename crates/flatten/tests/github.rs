//! Events of the shape of GitHub's public events: nested actors, repositories and payloads that differ by type.

use std::path::Path;

use expect_test::expect;
use flatten::{Event, Input, Record, Schema, Shape};

use super::reference::{self, Reference};
use super::rules::ARRIVAL_US;

const FIXTURE: &str = include_str!("fixtures/github_shaped_events.ndjson");

/// Flattens each line with both flatteners, which have to agree; their events have to come back from the rows.
#[track_caller]
fn check(events: &str) -> Reference {
    let records = [Record {
        source_id: "github_events.ndjson",
        arrival_us: ARRIVAL_US,
    }];
    let events: Vec<_> = (0..)
        .zip(events.lines())
        .map(|(index, line)| Event {
            bytes: line.as_bytes(),
            record: 0,
            index,
        })
        .collect();
    let input = Input {
        records: &records,
        events: &events,
        ingested_at_us: ARRIVAL_US,
    };
    reference::compare(&Schema::of_system_columns(), &Shape::default(), &input).unwrap()
}

#[test]
fn events_of_the_shape_of_githubs_become_rows_that_rebuild_them() {
    let result = check(FIXTURE);
    assert_eq!(result.refused, []);
    assert_eq!(result.rows.len(), 10);
    let columns: Vec<_> = result
        .new_columns
        .iter()
        .map(|new| new.name.as_str())
        .collect();
    expect!["type actor_gravatar_id actor_login actor_avatar_url actor_url actor_id repo_url repo_id repo_name public payload_distinct_size payload_ref payload_push_id payload_head payload_before payload_size id payload_description payload_master_branch payload_ref_type payload_forkee_id payload_forkee_name payload_forkee_full_name payload_forkee_owner_gravatar_id payload_forkee_owner_login payload_forkee_owner_avatar_url payload_forkee_owner_url payload_forkee_owner_id payload_forkee_owner_events_url payload_forkee_owner_type payload_forkee_owner_site_admin payload_forkee_private payload_forkee_fork payload_forkee_description payload_forkee_language payload_forkee_size payload_forkee_score payload_forkee_open_issues payload_forkee_created_at payload_forkee_pushed_at org_gravatar_id org_login org_avatar_url org_url org_id payload_action payload_issue_number payload_issue_user_gravatar_id payload_issue_user_login payload_issue_user_avatar_url payload_issue_user_url payload_issue_user_id payload_issue_user_events_url payload_issue_user_type payload_issue_user_site_admin payload_issue_title payload_issue_state payload_issue_comments payload_issue_created_at payload_issue_updated_at payload_issue_body payload_issue_id payload_comment_url payload_comment_issue_url"].assert_eq(&columns.join(" "));
}

#[test]
fn real_github_events_become_rows_that_rebuild_them() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/github_events.ndjson");
    let Ok(events) = std::fs::read_to_string(&path) else {
        println!("skipped: `github_events.ndjson` is not beside this checkout");
        return;
    };
    let result = check(&events);
    assert_eq!(result.refused, []);
    assert_eq!(result.rows.len(), 30);
}
