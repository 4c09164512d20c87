use futures_util::FutureExt;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn workspace(number: u8) -> WorkspaceId {
    format!("00000000-0000-0000-0000-0000000000{number:02}")
        .parse()
        .unwrap()
}

fn budget(requests_per_30s: usize, concurrent_requests: usize) -> Arc<Budget> {
    Budget::new(BudgetSettings {
        requests_per_30s,
        concurrent_requests,
    })
}

fn in_a_minute() -> Instant {
    Instant::now() + 60 * SECOND
}

/// Enters for workspace 1 if that needs no waiting.
fn at_once(budget: &Arc<Budget>, slow: bool) -> Option<Place> {
    let entering = budget.enter(workspace(1), slow, Instant::now());
    entering.now_or_never().and_then(Result::ok)
}

#[tokio::test(start_paused = true)]
async fn never_more_requests_in_any_30_seconds_than_allowed_and_no_fewer() {
    let budget = budget(180, 4);
    let mut sent = Vec::new();
    for n in 0..1_000 {
        drop(budget.enter(workspace(1), false, in_a_minute()).await);
        sent.push(Instant::now());
        if n % 7 == 0 {
            tokio::time::advance(SECOND * 3 / 10).await;
        }
    }
    let within = |from: Instant| {
        let window = from..from + WINDOW;
        sent.iter().filter(|at| window.contains(at)).count()
    };
    assert_eq!(sent.iter().map(|at| within(*at)).max(), Some(180));
    assert_eq!(within(sent[0]), 180);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_takes_no_longer_than_the_limit_makes_it() {
    let budget = budget(180, 4);
    let start = Instant::now();
    for _ in 0..1_000 {
        drop(budget.enter(workspace(1), false, in_a_minute()).await);
    }
    assert_eq!(Instant::now() - start, 5 * WINDOW);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_have_a_turn_in_time_takes_none_from_others() {
    let budget = budget(1, 4);
    let start = Instant::now();
    drop(at_once(&budget, false).unwrap());
    for _ in 0..5 {
        let late = budget.enter(workspace(1), false, start + 10 * SECOND);
        assert_eq!(late.await.err(), Some(NoPlace::Full));
    }
    assert_eq!(Instant::now(), start, "they know at once");
    let patient = budget.enter(workspace(1), false, start + 60 * SECOND);
    assert!(patient.await.is_ok());
    assert_eq!(Instant::now() - start, 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn quick_queries_never_wait_behind_slow_ones() {
    let budget = budget(180, 4);
    let _slow = [
        at_once(&budget, true).unwrap(),
        at_once(&budget, true).unwrap(),
    ];
    assert!(at_once(&budget, true).is_none(), "the slow ones' half");
    let quick = [
        at_once(&budget, false).unwrap(),
        at_once(&budget, false).unwrap(),
    ];
    assert!(at_once(&budget, false).is_none(), "four at once");
    drop(quick);
    assert!(at_once(&budget, false).is_some());
}

#[tokio::test(start_paused = true)]
async fn where_there_is_one_place_a_slow_query_may_have_it() {
    assert!(at_once(&budget(180, 1), true).is_some());
}

#[tokio::test(start_paused = true)]
async fn workspaces_take_turns_however_many_queries_one_of_them_has() {
    let budget = budget(180, 1);
    let held = at_once(&budget, false).unwrap();
    let (order, mut entered) = tokio::sync::mpsc::unbounded_channel();
    for number in [1, 1, 1, 2, 3, 1, 2] {
        let (budget, order) = (budget.clone(), order.clone());
        tokio::spawn(async move {
            let place = budget.enter(workspace(number), false, in_a_minute()).await;
            order.send(number).unwrap();
            drop(place);
        });
        tokio::task::yield_now().await;
    }
    drop((held, order));
    let mut got = Vec::new();
    while let Some(number) = entered.recv().await {
        got.push(number);
    }
    assert_eq!(got, [1, 2, 3, 1, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_takes_no_place_along() {
    let budget = budget(180, 1);
    let held = at_once(&budget, false).unwrap();
    let mut waiting = Box::pin(budget.enter(workspace(1), false, in_a_minute()));
    assert!(waiting.as_mut().now_or_never().is_none());
    let late = budget.enter(workspace(2), false, Instant::now() + SECOND);
    assert_eq!(late.await.err(), Some(NoPlace::Full));
    assert_eq!(budget.state().waiting, 1);
    drop(held);
    // The place was handed to `waiting`, which never takes it.
    drop(waiting);
    assert!(at_once(&budget, false).is_some());
    let state = budget.state();
    assert_eq!((state.in_flight, state.waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_429_nobody_asks_until_the_time_that_it_names() {
    let budget = budget(180, 4);
    let start = Instant::now();
    budget.close(20 * SECOND);
    budget.close(5 * SECOND);
    let hasty = budget.enter(workspace(1), false, start + 19 * SECOND);
    assert_eq!(hasty.await.err(), Some(NoPlace::Closed(20 * SECOND)));
    assert_eq!(Instant::now(), start, "told at once");
    let patient = budget.enter(workspace(1), false, start + 20 * SECOND);
    assert!(patient.await.is_ok());
    assert_eq!(Instant::now() - start, 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_place_when_429_comes_does_not_ask_either() {
    let budget = budget(180, 1);
    let start = Instant::now();
    let held = at_once(&budget, false).unwrap();
    let hasty = budget.enter(workspace(1), false, start + 5 * SECOND);
    let patient = budget.enter(workspace(1), false, start + 60 * SECOND);
    let closing = async {
        budget.close(7 * SECOND);
        drop(held);
    };
    let (hasty, patient, ()) = tokio::join!(hasty, patient, closing);
    assert_eq!(hasty.err(), Some(NoPlace::Closed(7 * SECOND)));
    assert!(patient.is_ok());
    assert_eq!(Instant::now() - start, 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_its_turn_when_429_comes_waits_longer() {
    let budget = budget(1, 4);
    let start = Instant::now();
    drop(at_once(&budget, false).unwrap());
    let waiting = budget.enter(workspace(1), false, start + 90 * SECOND);
    let closing = async {
        tokio::time::sleep(10 * SECOND).await;
        budget.close(40 * SECOND);
    };
    let (waited, ()) = tokio::join!(waiting, closing);
    assert!(waited.is_ok());
    // Its turn came at 30 s, in vain; the next was due at 60 s.
    assert_eq!(Instant::now() - start, 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn its_state_can_be_told() {
    let budget = budget(10, 2);
    let _held = [
        at_once(&budget, false).unwrap(),
        at_once(&budget, true).unwrap(),
    ];
    let mut waiting = Box::pin(budget.enter(workspace(1), false, in_a_minute()));
    assert!(waiting.as_mut().now_or_never().is_none());
    budget.close(3 * SECOND);
    assert_eq!(
        budget.state(),
        BudgetState {
            in_flight: 2,
            waiting: 1,
            requests_left: 8,
            requests_limit: 10,
            closed_for: 3 * SECOND,
        }
    );
    tokio::time::advance(WINDOW).await;
    let state = budget.state();
    assert_eq!(
        (state.requests_left, state.closed_for),
        (10, Duration::ZERO)
    );
}

#[test]
fn what_fits_into_a_window_takes_no_time_and_each_more_takes_its_own() {
    let budget = budget(180, 4);
    let seconds = |requests| budget.time_for(requests).as_secs();
    assert_eq!([0, 1, 180, 181, 1_600].map(seconds), [0, 0, 0, 30, 240]);
}
