// Placeholder of the target until the first suite lands.
