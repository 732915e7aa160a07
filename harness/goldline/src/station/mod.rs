//! What a station decides: whether an order can be carried out, which values a unit gets, who takes
//! which number, what is remembered of a unit and what is kept of a run.
//!
//! A request comes in as plain values and becomes an order, an order a batch, and a batch records. Must
//! not know arguments, terminals or pages: a command line, a page and a test ask in the same way, watch
//! the same events and read the same errors, each of which says what to do.
//!
//! | files | what they hold |
//! | --- | --- |
//! | `request` → `order` → `carrying_out`: an `attempt` is a `batch` of `jobs` | the way from what is asked to what came of it |
//! | `study` | runs again and again, and what runs that were kept say together |
//! | `rounds` | which rows of a file of units are still to be made, where one jig makes them in turn |
//! | `refusals`, `devices`, `sought_ports`, `faults`, `endpoints`, `registry_url` | what an order names, and what is refused of it |
//! | `values`, `leases`, `twins`, `identities`, `remembered` | a unit's values: given, made, its alone, or known from before |
//! | `journal`, `changes`, `outputs`, `credentials`, `enrolment` | what is kept of a run, and where |
//! | `trust` | whether the firmware can trust the bench at all |
//! | `sample_unit`, `goldens` | what a profile's declared unit is given, kept for review |
//! | `bare_unit` | a unit without a profile |
//! | `specimens` | units that are wrong on purpose, each run by a product's own plan |
//! | `certificates`, `state_directory` | what a station has without a run |

mod attempt;
mod bare_unit;
mod batch;
mod carrying_out;
mod certificates;
mod changes;
mod chosen_network;
mod credentials;
mod devices;
mod endpoints;
mod enrolment;
mod error;
mod faults;
mod finals;
mod goldens;
mod identities;
mod jobs;
mod journal;
mod leases;
mod nests;
mod order;
mod outputs;
mod provenance;
mod redirects;
mod refusals;
mod registry_url;
mod remembered;
mod request;
mod rounds;
mod sample_unit;
mod sought_ports;
mod specimens;
mod state_directory;
mod study;
mod trust;
mod twins;
mod values;

pub use bare_unit::{BareUnitError, open_bare_unit};
pub use batch::BatchError;
pub use carrying_out::{Ended, carry_out};
pub use certificates::{IssueError, IssueRequest, Subject, issue_certificate};
pub use chosen_network::NetworkError;
pub use devices::{DevicesError, declared_hmac_key};
pub use endpoints::EndpointsError;
pub use enrolment::{DeliveredRow, Delivery, Fate, deliver, scrap_unit};
pub use error::StationError;
pub use faults::{FaultsError, shows_fault};
pub use goldens::{GoldenError, Goldens};
pub use jobs::JobsError;
pub use journal::Watcher;
pub use leases::{ScrapError, numbers_given, scrap};
pub use order::{Order, OrderError, places};
pub use outputs::{Outputs, OutputsError, OutputsRequest};
pub use refusals::Refusal;
pub use registry_url::{RegistryUrlError, registry_url};
pub use remembered::RememberedError;
pub use request::{BrokerRequest, ReplacedRequest, Request, ServiceRequest};
pub use rounds::Rows;
pub use sample_unit::{SampleError, SampleUnit};
pub use sought_ports::{ask_unit, find_port};
pub use specimens::{Specimen, Specimens, SpecimensError};
pub use state_directory::open_state;
pub use study::{Kept, KeptError, kept_study, live_study, round_of};
pub use trust::{Answer, Called, Shown, Untrusting, services_of};
pub use twins::{IdentitiesError, Twins};
pub use values::ValuesError;

#[cfg(test)]
mod tests;
