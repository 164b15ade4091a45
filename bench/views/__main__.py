from bench.views.program import main

raise SystemExit(main())
