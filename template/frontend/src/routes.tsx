import type { RouteObject } from 'react-router'
import { App } from './App'
import { ConfirmEmail } from './auth/ConfirmEmail'
import { ForgotPassword } from './auth/ForgotPassword'
import { Login } from './auth/Login'
import { MagicLink } from './auth/MagicLink'
import { Register } from './auth/Register'
import { RequireAuth } from './auth/RequireAuth'
import { ResetPassword } from './auth/ResetPassword'
import { Verify } from './auth/Verify'
import { Account } from './pages/Account'
import { Failure } from './pages/Failure'
import { Home } from './pages/Home'
import { NotFound } from './pages/NotFound'
// scaffold:imports

export const routes: RouteObject[] = [
  {
    path: '/',
    element: <App />,
    errorElement: <Failure />,
    children: [
      { index: true, element: <Home /> },
      { path: 'register', element: <Register /> },
      { path: 'verify', element: <Verify /> },
      { path: 'login', element: <Login /> },
      { path: 'magic-link', element: <MagicLink /> },
      { path: 'account/email', element: <ConfirmEmail /> },
      { path: 'forgot', element: <ForgotPassword /> },
      { path: 'reset', element: <ResetPassword /> },
      {
        element: <RequireAuth />,
        children: [
          { path: 'account', element: <Account /> },
          // scaffold:routes
        ],
      },
      { path: '*', element: <NotFound /> },
    ],
  },
]
