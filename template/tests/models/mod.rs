mod rate_limits;
mod users;
