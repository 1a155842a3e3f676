// Tests of Exploration.
