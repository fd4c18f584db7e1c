//! The network client against servers that misbehave, and against a real one.
//!
//! What servers do here, real ones have been seen to do. Each test says what comes of it: the bytes or the kind of
//! error, what was asked, and, where patience is at stake, in which time. The command's exit codes, messages and memory
//! for them are held by its own tests.
//!
//! | what is known of servers and networks | tests |
//! |---|---|
//! | several ranges are answered wrongly; HEAD and conditions are not understood everywhere | `answers::a_request_is_a_get_of_one_range_without_encoding` |
//! | answers are compressed unasked | `answers::an_encoded_answer_…`, `nginx::an_nginx_that_compresses_…` |
//! | parts are longer, shorter, others, or of unknown length | `answers::a_part_…`, `answers::other_bytes_…`, `answers::a_body_…`, `answers::an_unknown_total_…` |
//! | ranges are ignored, always or for whole objects | `whole` |
//! | a range is not there | `answers::a_range_beyond_the_end_…` |
//! | 403 and 404, of the server or of a cache | `answers::what_is_missing_…`, `answers::what_a_cache_…`, `mirrors` |
//! | busy, with or without Retry-After | `network::a_server_…` |
//! | bodies that end early, connections that break or are closed | `answers::a_body_that_ends_early_…`, `network::a_connection_…`, `tls::an_encrypted_connection_that_is_cut_…` |
//! | objects that change on the way, wrong bytes | `answers::an_object_that_changes_…`, `answers::wrong_bytes_…`, `mirrors::wrong_bytes_…` |
//! | redirects: loops, other hosts, https to http, inwards | `redirects`, `tls::a_redirect_…` |
//! | signed URLs, credentials | `identity` |
//! | portals | `answers::a_page_…`, `redirects::a_redirect_to_a_login_page_…` |
//! | silence, drip, slow lines, deadlines | `network::silence_…`, `network::a_slow_line_…`, `network::the_deadline_…`, `network::until_the_deadline_…` |
//! | certificates: unknown, of another host, out of time, ours | `tls`, `nginx::an_nginx_that_wants_our_certificate_…` |
//! | clocks that are behind | `tls::a_time_that_is_known_to_have_passed_…` |
//! | IPv6 that leads nowhere, proxies | `network::a_name_with_addresses_…`, `network::a_proxy_…`, `tls::a_proxy_…` |
//! | long and narrow ways | `speed` |
//! | all of it in any order | `schedules` |
#![cfg(feature = "http")]

mod answers;
mod fixture;
mod identity;
mod mirrors;
mod network;
mod nginx;
mod redirects;
mod schedules;
mod speed;
#[cfg(feature = "tls")]
mod tls;
mod whole;
