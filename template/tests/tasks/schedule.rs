use loco_rs::{environment::Environment, scheduler::Scheduler};

use {{crate_name}}::app::App;

#[test]
fn every_scheduled_task_exists() {
    let environment = Environment::Development;
    let config = environment.load().expect("the configuration");
    let schedule = config.scheduler.expect("a schedule");

    Scheduler::new::<App>(&schedule, &environment).expect("its tasks are registered");
}
