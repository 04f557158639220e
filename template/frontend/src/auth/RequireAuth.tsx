import { Navigate, Outlet, useLocation } from 'react-router'
import { useIsLoggedIn } from './token'

/** The pages within are for users. Others log in first, and then see the page that they wanted. */
export function RequireAuth() {
  const isLoggedIn = useIsLoggedIn()
  const { pathname, search } = useLocation()

  if (!isLoggedIn) {
    const state = { from: pathname + search }
    return <Navigate to="/login" replace state={state} />
  }
  return <Outlet />
}
