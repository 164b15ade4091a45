from bench.scale.program import main

raise SystemExit(main())
