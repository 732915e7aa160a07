//! Which of the simulator's chips stands for one that a profile names.
//!
//! So that neither profiles nor the device trait know a type of the simulator.

use goldline_simulator::chip::Model;

use crate::profile::Chip;

/// The simulator's model of a chip.
pub fn simulated(chip: Chip) -> &'static Model {
    Model::named(chip.name()).expect("the simulator has every chip that a profile can name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulator_has_every_chip() {
        for chip in Chip::ALL {
            assert_eq!(simulated(chip).name, chip.name());
        }
    }
}
