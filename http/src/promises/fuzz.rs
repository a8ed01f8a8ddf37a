//! Whatever is sent, by somebody or by nobody, the answer is ours: never a failure inside, never a secret, always one form.
//!
//! The requests are made from the document of the API: fitting ones, damaged ones and nonsense. `APEX_TEST_FUZZ_CASES` sets how
//! many are sent.

mod body;
mod check;
mod request;
mod shapes;
mod world;

use std::cell::RefCell;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;
use tokio::runtime::Builder;

use check::Tally;
use shapes::Shapes;
use world::World;

/// How many requests are sent when nothing else is asked for.
const CASES: u32 = 10_000;
/// Houses that they are sent to, at the same time.
const HOUSES: u32 = 2;
/// After so many requests, what they deleted is made again.
const RENEWED_AFTER: u32 = 100;

#[test]
fn nothing_that_is_sent_brings_out_a_failure_of_ours_or_a_secret() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let tally = std::thread::scope(|scope| {
        let houses: Vec<_> =
            (0..HOUSES).map(|_| scope.spawn(|| sent_to_one_house(&document, cases() / HOUSES))).collect();
        houses.into_iter().map(|house| house.join().unwrap()).fold(Tally::default(), Tally::and)
    });
    if cases() >= CASES {
        tally.has_reached(&Shapes::of(&document).operations());
    }
}

fn sent_to_one_house(document: &Value, cases: u32) -> Tally {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let world = RefCell::new(runtime.block_on(World::open()));
    let (shapes, tally) = (Shapes::of(document), RefCell::new(Tally::default()));
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let outcome = TestRunner::new(config).run(&request::requests(&shapes), |case| {
        let (mut world, mut tally) = (world.borrow_mut(), tally.borrow_mut());
        runtime.block_on(async {
            if tally.next().is_multiple_of(RENEWED_AFTER) {
                world.renew().await;
            }
            let Some(request) = case.request(&world) else { return Ok(()) };
            let answer = world.send(request).await.map_err(TestCaseError::fail)?;
            tally.count(&case.operation, answer.status);
            check::answer(&world, &answer).map_err(TestCaseError::fail)
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    tally.into_inner()
}

#[expect(clippy::disallowed_methods, reason = "this is for tests and no setting of the product")]
fn cases() -> u32 {
    std::env::var("APEX_TEST_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES)
}
