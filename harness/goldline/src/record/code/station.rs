//! What is the station's own, whatever the unit.

super::codes! {
    /// The unit would ship with an address or certificate of the bench.
    EndpointBench = "endpoint.bench_would_ship" {
        action: "give the production service in a station file, or choose the policy redirected or test_then_final",
        causes: [
            "the profile's policy is bench, which is for simulated units",
            "the station file names no production service",
        ],
        operator: "call: the unit must not be shipped so",
        engineer: "choose the policy redirected, with the unit's final address. This version refuses such an order before it begins (exit code 2)",
    }
    /// What is planned for this unit belongs to another one.
    IdentityTaken = "identity.taken" {
        action: "give this unit values of its own; where it is a new module in the place of that unit, run again with --replaces MAC --because TEXT",
        causes: [
            "a row of --units, or a value of --set, was used for another unit before",
            "a board got a new module, and is to keep its number",
            "the profile makes a value that is the same for several units",
        ],
        operator: "set the unit aside and call; it was not written to",
        engineer: "goldline ids list PROFILE and goldline records show tell which unit has it; decide whether this one takes its place",
    }
    /// The last run of this unit ended while the unit was being changed.
    RunInterrupted = "station.run_interrupted" {
        action: "provision the unit again, from the start",
        causes: [
            "the station lost power, or its process was killed",
            "someone stopped the run, or pulled the cable",
            "the run ended as ERROR or FAIL before the unit had all its values",
        ],
        operator: "provision the unit again; it is not known to be bad",
        engineer: "goldline records list --mac MAC shows the run and what it came to; nothing of the unit was judged, for it may be half written",
    }
    /// The station cannot write its state or read what it needs.
    StationState = "station.state" {
        action: "check the state directory's permissions and free space",
        causes: [
            "the disk is full, or the folder is another user's",
            "a file that the order names cannot be read",
            "a value that a service gave does not fit the unit",
        ],
        operator: "call: the unit is not at fault",
        engineer: "the message names file or value and the system's reason",
    }
    /// This station does not know the unit as one of this product.
    UnitUnknown = "station.unit_unknown" {
        action: "provision the unit here, or check it with the profile and the state directory (--state) that it was provisioned with",
        causes: [
            "the unit was provisioned at another station, or not at all",
            "the profile or its images changed since",
            "the unit is of another product than the order",
        ],
        operator: "provision the unit at this station, or bring it to the one that did",
        engineer: "goldline records show MAC tells what this station knows of it; compare the state directory with the other station's",
    }
    /// Someone stopped the run.
    Aborted = "run.aborted" {
        action: "test the unit again from the start",
        causes: [
            "someone pressed Ctrl-C, or closed the terminal",
            "the station was shut down, or a service manager ended it",
        ],
        operator: "test the unit again from the start",
        engineer: "nothing, unless nobody stopped it: then look who sends SIGTERM",
    }
    /// Goldline itself failed.
    Internal = "internal" {
        action: "this is a bug in goldline: report it with the record",
        causes: [
            "a bug in goldline",
            "a profile that asks for a step without what has to come before it",
        ],
        operator: "keep the unit and its record, and call",
        engineer: "report it with record.json and console.log; goldline run --dry-run shows the plan",
    }
}
