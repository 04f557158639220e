mod home;
mod unmatched;
