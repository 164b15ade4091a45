from bench.probability.program import main

raise SystemExit(main())
