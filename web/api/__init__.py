"""The hospital network's face: health, readiness and metrics; REST, FHIR and the ops pages come here."""
