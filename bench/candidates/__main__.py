from bench.candidates.program import main

raise SystemExit(main())
