"""The ways of reaching a patient, and who carries them."""
