"""What tests are mounted on: throw-away servers, clocks, factories, a TCP proxy that can be cut."""
