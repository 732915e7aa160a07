//! The `goldline` program as its users have it: arguments in, standard output, files and an exit code
//! out. Nothing here calls the library.

mod abort;
mod alert;
mod awkward_values;
mod bad_profiles;
mod batch;
mod bench_faults;
mod ca;
mod catalog;
mod chatty;
mod credentials;
mod dry_run;
mod external_broker;
mod faults;
mod flash_dumps;
mod guide;
mod lots;
mod mosquitto;
mod near_misses;
mod neighbours;
mod networks;
mod output_files;
mod products;
mod program;
mod provision_and_check;
mod record;
mod records;
mod regression;
mod reprovisioning;
mod resets;
mod schema;
mod secrets;
mod two_sided;
mod usage;
mod values;
mod zeroconf;
