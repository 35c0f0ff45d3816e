"""What else a policy learns, so that the vectors its actions follow from say more."""
