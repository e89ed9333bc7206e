"""Parts that pull parameters towards what they were."""
