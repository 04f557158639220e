import type { RouteObject } from 'react-router'
import { App } from './App'
import { ForgotPassword } from './auth/ForgotPassword'
import { Login } from './auth/Login'
import { MagicLink } from './auth/MagicLink'
import { Register } from './auth/Register'
import { RequireAuth } from './auth/RequireAuth'
import { ResetPassword } from './auth/ResetPassword'
import { Verify } from './auth/Verify'
import { Account } from './pages/account/Account'
import { ChangeEmail } from './pages/account/ChangeEmail'
import { ChangeName } from './pages/account/ChangeName'
import { ChangePassword } from './pages/account/ChangePassword'
import { ConfirmEmail } from './pages/account/ConfirmEmail'
import { DeleteAccount } from './pages/account/DeleteAccount'
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
      { path: 'account/email/confirm', element: <ConfirmEmail /> },
      { path: 'forgot', element: <ForgotPassword /> },
      { path: 'reset', element: <ResetPassword /> },
      {
        element: <RequireAuth />,
        children: [
          { path: 'account', element: <Account /> },
          { path: 'account/name', element: <ChangeName /> },
          { path: 'account/email', element: <ChangeEmail /> },
          { path: 'account/password', element: <ChangePassword /> },
          { path: 'account/delete', element: <DeleteAccount /> },
          // scaffold:routes
        ],
      },
      { path: '*', element: <NotFound /> },
    ],
  },
]
