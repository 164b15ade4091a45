from bench.training.program import main

raise SystemExit(main())
