// Tests of KeyDistribution.
