"""What an invitation says, in templates."""
