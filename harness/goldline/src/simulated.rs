//! Which of the simulator's chips stands for one that a profile names.
//!
//! So that neither profiles nor the device trait know a type of the simulator.

use goldline_simulator::chip::Model;

use crate::profile::Chip;

/// The simulator has no such chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no {chip}; a real port or an emulator does")]
pub struct NotSimulated {
    /// The chip.
    pub chip: Chip,
}

/// The simulator's model of a chip.
///
/// # Errors
/// [`NotSimulated`] for a chip that only profiles know.
pub fn simulated(chip: Chip) -> Result<&'static Model, NotSimulated> {
    Model::named(chip.name()).ok_or(NotSimulated { chip })
}

/// Whether the simulator has it.
pub fn is_simulated(chip: Chip) -> bool {
    simulated(chip).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulator_says_which_chips_it_lacks() {
        let (simulated, others): (Vec<_>, Vec<_>) =
            Chip::ALL.into_iter().partition(|chip| is_simulated(*chip));
        assert_eq!(simulated.len(), 7);
        assert_eq!(others, [Chip::Esp32C5, Chip::Esp32C61, Chip::Esp32P4]);
        let refused = super::simulated(Chip::Esp32P4).expect_err("it has none");
        assert_eq!(
            refused.to_string(),
            "the simulator has no esp32p4; a real port or an emulator does"
        );
    }
}
