mod home;
mod json_errors;
