// Tests of the processor.
