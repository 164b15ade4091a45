from bench.cameras.program import main

raise SystemExit(main())
