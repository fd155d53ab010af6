//! What a whole life of an endpoint adds up to.

use super::*;
use slip_ir::Remedy;
use std::time::Duration;

fn fault(kind: FaultKind, after: Option<u64>) -> Fault {
    Fault { retry_after: after.map(Duration::from_secs), ..Fault::upstream(kind, Remedy::Elsewhere, "x") }
}

#[test]
fn only_what_the_endpoint_is_to_blame_for_makes_it_rest() {
    let rests = |kind, times: u32, after: Option<u64>| {
        let health = Health::default();
        for _ in 0..times {
            health.begin(1_000, 10);
            health.failed(1_000, &fault(kind, after));
        }
        assert_eq!(health.vital(1_000).in_flight, 0);
        health.vital(1_000).cooldown_until_ms.saturating_sub(1_000) / 1000
    };
    assert_eq!(rests(FaultKind::BadRequest, 9, None), 0);
    assert_eq!(rests(FaultKind::UpstreamAuth, 9, None), 0, "that is the key's rest, not the model's");
    assert_eq!(rests(FaultKind::Upstream, 2, None), 0);
    assert_eq!(rests(FaultKind::Upstream, 3, None), 5);
    assert_eq!(rests(FaultKind::UpstreamTimeout, 3, None), 5);
    assert_eq!(rests(FaultKind::Overloaded, 1, Some(9)), 9);
    assert_eq!(rests(FaultKind::RateLimited, 1, None), 2);
    assert_eq!(rests(FaultKind::RateLimited, 1, Some(7)), 7);
    assert_eq!(rests(FaultKind::RateLimited, 1, Some(100_000)), 60);
    assert_eq!(rests(FaultKind::UnknownModel, 1, None), 300);
}

#[test]
fn what_it_is_like_is_told() {
    let health = Health::default();
    let Vital { odds, whole, call_odds, .. } = health.vital(0);
    assert_eq!(health.vital(0), Vital { odds, whole, call_odds, ..Vital::default() });
    assert_eq!(health.percentiles(Metric::FirstContent, 0), None);
    for n in 1..=20u64 {
        let now = n * 1_000;
        health.begin(now, 100);
        let reply = Answered {
            first_us: Some(200_000),
            total_us: 1_200_000,
            prompt: 1_000,
            cached: 250,
            output: 100,
            cost: 5_000,
            ..Answered::default()
        };
        health.answered(now + 1_200, &reply);
    }
    let vital = health.vital(22_000);
    assert_eq!((vital.ttft_ms, vital.tokens_per_second, vital.output_tokens), (Some(200), Some(100), Some(100)));
    assert_eq!((vital.cached_permille, vital.in_flight), (250, 0));
    assert!(vital.odds > 0.99 && !vital.failing);
    let first = health.percentiles(Metric::FirstContent, 22_000).unwrap();
    assert!(first.count == 20 && (188.0..213.0).contains(&first.p50), "{first:?}");
    // From end to end: 100 tokens in 1.2 s.
    assert!((80.0..88.0).contains(&health.percentiles(Metric::Throughput, 22_000).unwrap().p50));
    assert_eq!(health.uptime(Window::Day, 22_000), (20, 0));
    assert_eq!((health.totals().of(Class::Ok), health.totals().cost()), (20, 100_000));
}

#[test]
fn a_stream_that_broke_off_is_a_failure_and_a_sample_of_its_beginning() {
    let health = Health::default();
    let broke = Answered { first_us: Some(90_000), total_us: 100_000, output: 3, broke: true, ..Answered::default() };
    (0..3).for_each(|_| health.answered(1_000, &broke));
    let vital = health.vital(1_000);
    assert!(vital.failing && vital.cooldown_until_ms == 6_000 && vital.whole < 0.8, "{vital:?}");
    assert_eq!((vital.ttft_ms, vital.tokens_per_second), (Some(90), None));
    assert_eq!(health.uptime(Window::FiveMinutes, 1_000), (0, 3));
}

#[test]
fn who_takes_calls_and_says_nothing_shows_before_anybody_gives_up() {
    let health = Health::default();
    let (one, other) = (health.waits(1_000), health.waits(2_000));
    assert_eq!(health.vital(11_500).silent_ms, 10_000);
    health.spoke(11_500, one);
    health.unheard(other);
    assert_eq!(health.vital(11_500).silent_ms, 0);
}

#[test]
fn the_first_content_is_known_when_it_comes_and_counts_once() {
    let health = Health::default();
    let waiting = health.waits(1_000);
    health.spoke(1_400, waiting);
    assert_eq!((health.vital(1_400).ttft_ms, health.vital(1_400).peak_ms), (Some(400), Some(400)));
    let reply = Answered { first_us: Some(900_000), heard: true, total_us: 60_000_000, ..Answered::default() };
    health.answered(61_000, &reply);
    assert_eq!(health.vital(61_000).ttft_ms, Some(400));
    assert_eq!(health.percentiles(Metric::FirstContent, 61_000).map(|p| p.count), Some(1));
}

#[test]
fn what_was_under_way_when_it_was_measured_is_of_then_and_not_of_now() {
    let health = Health::default();
    let begin = |now| {
        health.begin(now, 1);
        health.waits(now)
    };
    let third = [0, 10, 20].map(|after| begin(1_000 + after))[2];
    (0..7).for_each(|_| health.begin(2_000, 1));
    assert_eq!(health.vital(2_000).ahead, None);
    health.spoke(2_500, third);
    let vital = health.vital(2_500);
    assert_eq!((vital.in_flight, vital.ahead, vital.ttft_ms), (10, Some(2.0), Some(1_480)));
}

#[test]
fn who_has_passed_its_trial_has_the_odds_it_had() {
    let health = Health::default();
    let before = health.vital(0).odds;
    (0..3).for_each(|_| health.failed(1_000, &fault(FaultKind::Upstream, None)));
    for now in [6_000, 6_500] {
        assert!(health.vital(now).half_open && health.vital(now).odds < 0.7);
        health.begin(now, 1);
        let waiting = health.waits(now);
        health.spoke(now + 100, waiting);
    }
    let vital = health.vital(6_600);
    assert!(!vital.half_open && !vital.failing && vital.odds == before, "{vital:?}");
}

#[test]
fn who_limits_without_counting_down_is_paced_and_who_counts_is_believed() {
    let limited = |said: Option<Left>| {
        let health = Health::default();
        for n in 0..20 {
            health.begin(1_000 + n * 100, 10);
        }
        health.allowed(3_000, &Allowance { requests: said, tokens: None });
        health.failed(3_000, &fault(FaultKind::RateLimited, Some(1)));
        (health.vital(3_050).requests_left, health.vital(10_000).requests_left)
    };
    assert_eq!(limited(None), (Some(0), None));
    assert_eq!(limited(Some(Left { left: 7, reset_ms: 5_000 })), (Some(7), None));
}

#[test]
fn a_caller_who_leaves_proves_nothing() {
    let health = Health::default();
    (0..3).for_each(|_| health.failed(0, &fault(FaultKind::Upstream, None)));
    health.begin(5_000, 1);
    assert!(health.vital(5_000).probing);
    health.left();
    assert!(health.vital(5_000).half_open && !health.vital(5_000).probing);
}

#[test]
fn a_restart_keeps_what_is_usual_and_forgets_what_passes() {
    let health = Health::default();
    assert_eq!(health.freeze(1_000), None);
    let reply = Answered { first_us: Some(50_000), total_us: 1_050_000, output: 80, ..Answered::default() };
    health.answered(1_000, &reply);
    health.failed(1_000, &fault(FaultKind::RateLimited, Some(30)));
    let frozen = health.freeze(2_000).unwrap();
    let again = Health::default();
    again.thaw(&serde_json::from_str(&serde_json::to_string(&frozen).unwrap()).unwrap(), 3_000);
    let vital = again.vital(3_000);
    assert_eq!((vital.ttft_ms, vital.tokens_per_second, vital.cooldown_until_ms), (Some(50), Some(80), 31_000));
    assert!(!vital.failing && vital.in_flight == 0);
    let later = Health::default();
    later.thaw(&Frozen { ttft_ms: Some(f64::NAN), rests_until_ms: u64::MAX, ..frozen }, 86_400_000);
    assert_eq!(later.vital(86_400_000).ttft_ms, None);
    assert_eq!(later.vital(86_400_000).cooldown_until_ms, 86_700_000);
}

#[test]
fn whoever_is_outrun_does_not_seem_as_quick_as_before() {
    let health = Health::default();
    for _ in 0..30 {
        health.begin(1_000, 1);
        health.answered(1_000, &Answered { first_us: Some(100_000), total_us: 200_000, ..Answered::default() });
    }
    // Silent for less than usual: nothing is learnt.
    health.silent(1_000, Duration::from_millis(20));
    let figures = |health: &Health| health.percentiles(Metric::FirstContent, 1_000).expect("samples");
    assert_eq!((figures(&health).count, health.vital(1_000).ttft_ms), (30, Some(100)));
    let before = health.vital(1_000).odds;
    for _ in 0..3 {
        health.silent(1_000, Duration::from_secs(2));
    }
    let vital = health.vital(1_000);
    assert_eq!(figures(&health).count, 33);
    assert!(vital.ttft_ms.is_some_and(|ms| ms > 100) && vital.peak_ms.is_some_and(|ms| ms > 1_500), "{vital:?}");
    assert_eq!(vital.odds, before, "being outrun is no failure");
}

#[test]
fn tool_calls_of_no_use_are_remembered_for_a_while_and_say_nothing_of_the_odds() {
    let health = Health::default();
    let odds = health.vital(1_000).odds;
    assert!(health.vital(1_000).call_odds > 0.99);
    (0..10).for_each(|n| health.called(1_000, n < 5));
    let vital = health.vital(1_000);
    assert!((0.66..0.67).contains(&vital.call_odds), "{}", vital.call_odds);
    assert_eq!((vital.odds, vital.failing, health.totals().tool_calls()), (odds, false, (10, 5)));
    assert!(health.vital(10 * 60_000).call_odds < 0.85, "ten minutes later it still counts");
    assert!(health.vital(4 * 3_600_000).call_odds > 0.99);
    health.begin(1_000, 1);
    health.answered(1_000, &Answered::default());
    assert_eq!(health.totals().tool_calls(), (10, 5), "an answer alone says nothing of its calls");
}
